import type { AnswerStream, RagEvent, Source } from "aiworker-client";
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import { ai } from "./aiworker.ts";

interface Turn {
  id: number;
  question: string;
  text: string;
  sources: Source[];
  state: "waiting" | "writing" | "done" | "stopped" | "failed";
}

/** Return a turn with what an event adds to it. */
function withEvent(turn: Turn, event: RagEvent): Turn {
  switch (event.type) {
    case "sources":
      return { ...turn, sources: event.sources };
    case "text":
      return { ...turn, state: "writing", text: turn.text + event.text };
    case "end":
      return { ...turn, state: "done" };
    default:
      return turn;
  }
}

/** Return the conversation as the Worker takes it. */
function toMessages(turns: Turn[], question: string) {
  const earlier = turns
    .filter((turn) => turn.state === "done")
    .flatMap((turn) => [
      { role: "user" as const, content: turn.question },
      { role: "assistant" as const, content: turn.text },
    ]);
  return [...earlier, { role: "user" as const, content: question }];
}

export function Chat() {
  const [turns, setTurns] = useState<Turn[]>([]);
  const [question, setQuestion] = useState("");
  const [asksDocuments, setAsksDocuments] = useState(true);
  const stream = useRef<AnswerStream<RagEvent> | null>(null);
  const end = useRef<HTMLDivElement>(null);
  const isBusy = turns.some((turn) => turn.state === "waiting" || turn.state === "writing");

  // what is written last is shown
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  }, [turns]);
  useEffect(() => () => stream.current?.stop(), []);

  async function ask(event: FormEvent) {
    event.preventDefault();
    if (isBusy || question.trim() === "") return;
    const turn: Turn = { id: turns.length, question, text: "", sources: [], state: "waiting" };
    const change = (change: (turn: Turn) => Turn) =>
      setTurns((all) => all.map((each) => (each.id === turn.id ? change(each) : each)));
    const messages = toMessages(turns, question);
    setTurns([...turns, turn]);
    setQuestion("");
    const answer = asksDocuments ? ai.rag.ask({ messages }) : ai.chat({ messages });
    stream.current = answer;
    try {
      for await (const event of answer) change((turn) => withEvent(turn, event));
      if (answer.stopped) change((turn) => ({ ...turn, state: "stopped" }));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      change((turn) => ({ ...turn, state: "failed", text: turn.text ? `${turn.text}\n\n${text}` : text }));
    }
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Escape") stream.current?.stop();
  }

  return (
    <section className="chat" aria-labelledby="chat-title" onKeyDown={onKeyDown}>
      <h2 id="chat-title">Chat</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and must by the keyboard, too */}
      <div className="turns" role="log" aria-label="Conversation" tabIndex={0}>
        {turns.length === 0 && (
          <p className="hint">Add a document, and ask what it says: answers name their sources.</p>
        )}
        {turns.map((turn) => (
          <article key={turn.id}>
            <p className="question">{turn.question}</p>
            <Answer turn={turn} />
          </article>
        ))}
        <div ref={end} />
      </div>
      <form onSubmit={ask}>
        <label className="switch">
          <input type="checkbox" checked={asksDocuments} onChange={(event) => setAsksDocuments(event.target.checked)} />
          Answer from my documents
        </label>
        <div className="line">
          <input
            aria-label="Question"
            placeholder="Ask a question"
            value={question}
            onChange={(event) => setQuestion(event.target.value)}
          />
          {isBusy ? (
            <button type="button" onClick={() => stream.current?.stop()}>
              Stop
            </button>
          ) : (
            <button type="submit" disabled={question.trim() === ""}>
              Ask
            </button>
          )}
        </div>
      </form>
    </section>
  );
}

function Answer({ turn }: { turn: Turn }) {
  const cited = turn.sources.filter((source) => turn.text.includes(`[${source.number}]`));
  if (turn.state === "failed") {
    return (
      <p className="answer failed" role="alert">
        {turn.text}
      </p>
    );
  }
  return (
    <div className="answer" aria-busy={turn.state === "waiting" || turn.state === "writing"}>
      {turn.state === "waiting" ? <p className="hint">Thinking …</p> : <p>{turn.text}</p>}
      {turn.state === "stopped" && <p className="hint">Stopped.</p>}
      {cited.length > 0 && (
        <ol className="sources" aria-label="Sources">
          {cited.map((source) => (
            <li key={source.number} value={source.number}>
              <details>
                <summary>{source.title}</summary>
                <blockquote>{source.snippet}</blockquote>
              </details>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
