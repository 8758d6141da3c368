/** The API's types by short names. `components` has all of them, as they are in /openapi.json. */
import type { components } from "./api.js";

type Schemas = components["schemas"];

export type ChatMessage = Schemas["aiworker__routes__chat_schema__Message"];
export type ChatTool = Schemas["aiworker__routes__chat_schema__Tool"];
/** `stream` is left out: answers are streamed. */
export type ChatRequest = Omit<Schemas["ChatRequest"], "stream">;
export type RagRequest = Omit<Schemas["RagRequest"], "stream">;
export type SearchRequest = Schemas["SearchRequest"];
export type Source = Schemas["Source"];
export type FoundPassage = Schemas["FoundPassage"];
export type Passages = Schemas["Passages"];
export type Usage = Schemas["Usage"];
export type DocumentState = Schemas["DocumentState"];
export type DocumentList = Schemas["DocumentList"];
export type DocumentRequest = Schemas["DocumentRequest"];
export type EmbedRequest = Schemas["EmbedRequest"];
export type Embeddings = Schemas["Embeddings"];
export type TranslateRequest = Schemas["TranslateRequest"];
export type Translation = Schemas["Translation"];
export type ExtractRequest = Schemas["ExtractRequest"];
/** `data` is an instance of the request's schema. */
export type Extraction<Data = unknown> = Schemas["Extraction"] & { data: Data };
export type DecideRequest = Schemas["DecideRequest"];
export type ImageRequest = Schemas["ImageRequest"];
export type StoredImage = Schemas["StoredImage"];
export type TranscribeRequest = Schemas["TranscribeRequest"];
export type Transcription = Schemas["Transcription"];
export type SpeakRequest = Schemas["SpeakRequest"];
export type ErrorDetail = Schemas["ErrorDetail"];
export type ErrorType = ErrorDetail["type"];

/** The answer to one question of `decide()`. Probabilities are 0 to 1. */
export type Decision =
  | { type: "noul" /** Probability of a yes. */; noul: number }
  | { type: "choice"; choice: string; probabilities: Record<string, number>; confidence: number }
  | {
      type: "score";
      score: number;
      /** Number of each level → its meaning. */
      legend: Record<string, string>;
      probabilities: Record<string, number>;
      confidence: number;
    }
  | { type: "refusal" };

export type Decisions = Omit<Schemas["DecideReply"], "answers"> & {
  model: string;
  usage: Schemas["DecideUsage"];
  /** Id of each question → its answer. */
  answers: Record<string, Decision>;
};

// ---- streams -------------------------------------------------------------------------------------------------------

/** The first event of every stream: the Worker has found a model. */
export interface StartEvent {
  type: "start";
  /** The model that answers; null if none is called. */
  model: string | null;
  requestId: string | null;
}

/** The passages that the answer cites as `[1]`, `[2]`: comes before the text, of `rag.ask()` only. */
export interface SourcesEvent {
  type: "sources";
  sources: Source[];
}

/** More of the text. */
export interface TextEvent {
  type: "text";
  text: string;
}

/** More of the model's reasoning, which models that have one write before their text. */
export interface ReasoningEvent {
  type: "reasoning";
  text: string;
}

/** The Worker has called one of its own tools (`worker_tools`). */
export interface ToolEvent {
  type: "tool";
  id: string;
  name: string;
  /** The arguments, as JSON. */
  arguments: string;
  result: string;
}

/** The model asks the page to call one of its functions (`tools`): comes once it is complete, after the text. */
export interface ToolCallEvent {
  type: "tool-call";
  id: string;
  name: string;
  /** The arguments, as JSON that the model wrote: check them. */
  arguments: string;
}

/** The usage of an answer, if the model reports it. */
export interface UsageEvent {
  type: "usage";
  usage: Usage;
}

/** The last event of a stream that was complete. */
export interface EndEvent {
  type: "end";
  /** Such as `stop`, `length` (`max_tokens` is reached) or `tool_calls`; null if the model gives no reason. */
  reason: string | null;
}

export type ChatEvent = StartEvent | TextEvent | ReasoningEvent | ToolEvent | ToolCallEvent | UsageEvent | EndEvent;

export type RagEvent = ChatEvent | SourcesEvent;
