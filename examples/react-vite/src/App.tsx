import { Chat } from "./Chat.tsx";
import { Documents } from "./Documents.tsx";

export function App() {
  return (
    <>
      <header>
        <h1>Reading room</h1>
        <p>Ask anything, or ask your documents.</p>
      </header>
      <main>
        <Chat />
        <Documents />
      </main>
    </>
  );
}
