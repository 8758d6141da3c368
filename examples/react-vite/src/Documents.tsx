import type { DocumentState } from "aiworker-client";
import { type ChangeEvent, type DragEvent, useEffect, useState } from "react";
import { ai } from "./aiworker.ts";

/** A file on its way. */
interface Upload {
  id: string;
  name: string;
  /** Share that is sent, 0 to 1. */
  sent: number;
  /** The current step; the reason if it has failed. */
  step: string;
  hasFailed: boolean;
}

const STEPS: Record<DocumentState["state"], string> = {
  queued: "Waiting",
  converting: "Reading",
  embedding: "Indexing",
  indexed: "Ready",
  failed: "Failed",
};
const KILOBYTE = 1000;

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

function size(bytes: number): string {
  return bytes < KILOBYTE ? `${bytes} bytes` : `${Math.round(bytes / KILOBYTE)} KB`;
}

export function Documents() {
  const [documents, setDocuments] = useState<DocumentState[] | null>(null);
  const [uploads, setUploads] = useState<Upload[]>([]);
  const [error, setError] = useState("");
  const [isOver, setIsOver] = useState(false);

  async function reload() {
    try {
      setDocuments((await ai.documents.list({ limit: 100 })).documents);
      setError("");
    } catch (error) {
      setError(messageOf(error));
    }
  }

  useEffect(() => {
    reload();
  }, []);

  async function add(file: File) {
    const upload: Upload = { id: crypto.randomUUID(), name: file.name, sent: 0, step: "Sending", hasFailed: false };
    const change = (parts: Partial<Upload>) =>
      setUploads((all) => all.map((each) => (each.id === upload.id ? { ...each, ...parts } : each)));
    setUploads((all) => [...all, upload]);
    try {
      await ai.documents.upload(file, {
        onProgress: ({ loaded, total }) => change({ sent: total ? loaded / total : 1 }),
        onState: ({ state }) => change({ sent: 1, step: STEPS[state] }),
      });
      setUploads((all) => all.filter((each) => each.id !== upload.id));
      await reload();
    } catch (error) {
      change({ step: messageOf(error), hasFailed: true });
    }
  }

  async function remove(id: string) {
    try {
      await ai.documents.delete(id);
      await reload();
    } catch (error) {
      setError(messageOf(error));
    }
  }

  function choose(event: ChangeEvent<HTMLInputElement>) {
    for (const file of event.target.files ?? []) add(file);
    event.target.value = "";
  }

  function drop(event: DragEvent) {
    event.preventDefault();
    setIsOver(false);
    for (const file of event.dataTransfer.files) add(file);
  }

  return (
    <section className="documents" aria-labelledby="documents-title">
      <h2 id="documents-title">Documents</h2>
      <label
        className={isOver ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setIsOver(true);
        }}
        onDragLeave={() => setIsOver(false)}
        onDrop={drop}
      >
        <input type="file" multiple onChange={choose} />
        <strong>Add documents</strong>
        <span>PDF, Word, Markdown, text: drop them here</span>
      </label>
      {error && (
        <p className="failed" role="alert">
          {error}
        </p>
      )}
      <ul>
        {uploads.map((upload) => (
          <li key={upload.id}>
            <div className="name">{upload.name}</div>
            {upload.hasFailed ? (
              <p className="failed" role="alert">
                {upload.step}
              </p>
            ) : (
              <>
                <progress value={upload.sent} aria-label={`${upload.name}: sent`} />
                <span className="hint" role="status">
                  {upload.step}
                </span>
              </>
            )}
          </li>
        ))}
        {documents?.map((document) => (
          <li key={document.id} className="document">
            <div>
              <div className="name">{document.title}</div>
              <span className="hint">
                {STEPS[document.state]}, {size(document.size)}
              </span>
            </div>
            <button
              type="button"
              className="quiet"
              aria-label={`Delete ${document.title}`}
              onClick={() => remove(document.id)}
            >
              Delete
            </button>
          </li>
        ))}
      </ul>
      {documents?.length === 0 && uploads.length === 0 && <p className="hint">Nothing here yet.</p>}
    </section>
  );
}
