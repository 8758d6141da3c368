import { DocumentFailedError } from "./errors.js";
import { type RequestOptions, sleep, type Transport } from "./transport.js";
import type { DocumentList, DocumentRequest, DocumentState } from "./types.js";
import { sendWithProgress, type UploadProgress } from "./upload.js";

export interface TenantOptions extends RequestOptions {
  tenant?: string;
}

export interface WaitOptions extends TenantOptions {
  /** Called with each new state: `queued`, `converting`, `embedding`, `indexed` or `failed`. */
  onState?: (document: DocumentState) => void;
}

export interface UploadOptions extends WaitOptions {
  /** New content under the same id replaces the old; made from the content if left out. */
  id?: string;
  /** The first heading, or the file's name, if left out. */
  title?: string;
  /** Where people find the document. */
  url?: string;
  /** Facts by which searches may be narrowed. */
  metadata?: NonNullable<DocumentRequest["metadata"]>;
  /** Format of a text: `markdown` (default), `text` or `html`. */
  format?: NonNullable<DocumentRequest["format"]>;
  /** Name of a Blob, whose extension tells its kind. A File has its own name. */
  name?: string;
  /** Called with the bytes that were sent. In Node.js only for the first and the last byte. */
  onProgress?: (progress: UploadProgress) => void;
  /** False: do not wait until searches find the document. */
  wait?: boolean;
}

export interface ListOptions extends TenantOptions {
  /** `cursor` of the page before. */
  cursor?: string;
  /** 1 to 100; default 50. */
  limit?: number;
  /** Only documents of this folder and of those below it. */
  folder?: string;
}

const FIRST_POLL_MS = 200;
const MAX_POLL_MS = 2_000;

/** The documents from which `rag.ask()` answers. */
export class Documents {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Add a file, or a text, and wait until searches find it.
   *
   * Throws DocumentFailedError if it cannot be indexed. An abort ends the upload, or the waiting: what was uploaded stays.
   */
  async upload(content: Blob | string, options: UploadOptions = {}): Promise<DocumentState> {
    const uploaded =
      typeof content === "string" ? await this.#addText(content, options) : await this.#add(content, options);
    options.onState?.(uploaded);
    if (options.wait === false) return uploaded;
    return this.#untilIndexed(uploaded, options);
  }

  /** Wait until searches find a document. Throws DocumentFailedError. */
  async waitUntilIndexed(id: string, options: WaitOptions = {}): Promise<DocumentState> {
    const document = await this.get(id, options);
    options.onState?.(document);
    return this.#untilIndexed(document, options);
  }

  async get(id: string, options: TenantOptions = {}): Promise<DocumentState> {
    return this.#transport.json("GET", pathOf(id), withTenant(options));
  }

  /** List the documents by id, in pages: `cursor` of the last one is null. */
  async list({ cursor, limit, folder, ...options }: ListOptions = {}): Promise<DocumentList> {
    const query = { tenant: options.tenant, cursor, limit, folder };
    return this.#transport.json("GET", "/rag/documents", { ...options, query });
  }

  /** Delete a document with its file, its passages and its vectors. */
  async delete(id: string, options: TenantOptions = {}): Promise<void> {
    await this.#transport.request("DELETE", pathOf(id), withTenant(options));
  }

  #addText(text: string, options: UploadOptions): Promise<DocumentState> {
    const { id, title, url, metadata, format, tenant, ...rest } = options;
    const json = { text, id, title, url, metadata, format, tenant };
    return this.#transport.json("POST", "/rag/documents", { ...requestOptions(rest), json });
  }

  #add(file: Blob, options: UploadOptions): Promise<DocumentState> {
    const { id, title, url, metadata, tenant, onProgress } = options;
    const form = new FormData();
    const fields = { id, title, url, tenant, metadata: metadata && JSON.stringify(metadata) };
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) form.append(name, value);
    form.append("file", file, options.name ?? (file instanceof File ? file.name : "document"));
    const send = onProgress && sendWithProgress(file.size, this.#transport.fetch, onProgress);
    return this.#transport.json("POST", "/rag/documents", {
      ...requestOptions(options),
      ...(send && { send }),
      body: form,
    });
  }

  async #untilIndexed(document: DocumentState, options: WaitOptions): Promise<DocumentState> {
    let current = document;
    for (let pause = FIRST_POLL_MS; current.state !== "indexed"; pause = Math.min(pause * 1.5, MAX_POLL_MS)) {
      if (current.state === "failed") throw new DocumentFailedError(current);
      await sleep(pause, options.signal);
      const next = await this.get(current.id, options);
      if (next.state !== current.state) options.onState?.(next);
      current = next;
    }
    return current;
  }
}

const pathOf = (id: string) => `/rag/documents/${encodeURIComponent(id)}`;

function withTenant(options: TenantOptions) {
  return { ...requestOptions(options), query: { tenant: options.tenant } };
}

function requestOptions({ signal, headers }: RequestOptions): RequestOptions {
  return { ...(signal && { signal }), ...(headers && { headers }) };
}
