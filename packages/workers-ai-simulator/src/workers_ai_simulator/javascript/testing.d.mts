/** Parts of a scripted answer by which calls are chosen. */
export interface AnswerCriteria {
  /** Only calls of this model; `*` stands for any characters. */
  model?: string;
  /** Only calls whose prompt (the user's last message, or the first text) contains this text. */
  prompt?: string;
  /** Only calls in whose prompt this regular expression is found. A string is one of Python's. */
  pattern?: RegExp | string;
  /** Number of calls to answer (default 1); `null`: all, a rule. */
  count?: number | null;
}

/** Details of an answer that a model writes. */
export interface WrittenDetails {
  reasoning?: string;
  finish_reason?: "stop" | "length" | "tool_calls" | "content_filter";
  usage?: { prompt_tokens: number; completion_tokens: number };
  /** Pace of the stream instead of the simulator's; 0: at once. */
  tokens_per_second?: number;
}

export interface ScriptedCall {
  name: string;
  /** A string is sent as it is, as for JSON that is broken. */
  arguments?: Record<string, unknown> | string;
  id?: string;
}

/** The answer to a call: one of these. */
export type AnswerContent =
  | ({ text: string; tool_calls?: ScriptedCall[] } & WrittenDetails)
  | ({
      /** The text in pieces, one for each frame of a stream. */
      stream: string[];
      tool_calls?: ScriptedCall[];
    } & WrittenDetails)
  | ({ tool_calls: ScriptedCall[] } & WrittenDetails)
  | ({ json: unknown } & WrittenDetails)
  | {
      /** Frames of a stream as they are: an object is the data of one, a string is sent unchanged. */
      frames: (string | Record<string, unknown>)[];
      tokens_per_second?: number;
    }
  | {
      /** The whole answer, exactly so, of any model. */
      answer: Record<string, unknown> | unknown[];
    }
  | { media: { base64: string; content_type: string } }
  | { error: { status: number; code?: number; description?: string } }
  | {
      /** The simulator's own answer, as for embeddings in strict mode. */
      simulated: true;
    };

export type ScriptedAnswer = AnswerCriteria & AnswerContent;

export type SetAnswer = ScriptedAnswer & { id: number; applied: number; remaining: number | null };

/** Parts of a fault; the README describes them. */
export interface Fault {
  binding?: "AI" | "VECTORIZE" | "AI_GATEWAY" | "AI_SEARCH" | null;
  operation?: string | null;
  model?: string | null;
  count?: number | null;
  probability?: number;
  seed?: number | null;
  delay?: number;
  status?: number | null;
  code?: number;
  description?: string;
  empty_body?: boolean;
  hold_response?: boolean;
  hold_after_frames?: number | null;
  cut_after_frames?: number | null;
  end_after_frames?: number | null;
  broken_frame?: number | null;
  tokens_per_second?: number | null;
}

/** One request in the journal. */
export interface LoggedRequest {
  binding: string;
  operation: string;
  model: string;
  inputs: Record<string, unknown>;
  options: Record<string, unknown>;
  /** The user's last message, or the first text. */
  prompt: string;
  /** Id of the scripted answer that it got. */
  scripted: number | null;
  /** File of the tape that its answer is from, or was recorded in; else empty. */
  tape: string;
  /** Model that answered in place of the called one; empty for a simulated answer. */
  real_model: string;
  state: "received" | "streaming" | "finished" | "failed" | "cancelled";
  status: number | null;
  error: string;
  frames: number;
  id: string;
  received: number;
  seconds: number;
  number: number;
}

export interface RequestCriteria {
  binding?: Fault["binding"] & string;
  operation?: string;
  model?: string;
}

/** The simulator refused a request, for the reason in the message; `status` is undefined if no simulator answered. */
export class SimulatorError extends Error {
  status?: number;
}

/** Client of a running simulator. All methods throw SimulatorError. */
export class SimulatorClient {
  constructor(url: string);
  readonly url: string;

  /** Add a scripted answer, behind those that are set. Returns its id. */
  setAnswer(answer: ScriptedAnswer): Promise<number>;
  setAnswers(answers: ScriptedAnswer[]): Promise<number[]>;
  /** Whether a call that no scripted answer is for is refused. */
  setStrict(strict?: boolean): Promise<void>;
  answers(): Promise<SetAnswer[]>;
  /** Delete all scripted answers, and refuse no call any more. */
  clearAnswers(): Promise<void>;
  /** Assert that every scripted answer was given as often as it should, and that no call was unexpected. */
  assertAnswersUsed(): Promise<void>;
  /** Assert that a model was called so often, by default at least once. Returns these calls. */
  assertAsked(
    criteria?: Pick<AnswerCriteria, "model" | "prompt" | "pattern"> & { times?: number },
  ): Promise<LoggedRequest[]>;

  /** Make the next matching requests fail. Returns the fault's id. */
  setFault(fault: Fault): Promise<number>;
  faults(): Promise<(Fault & { id: number; applied: number; remaining: number | null })[]>;
  clearFaults(): Promise<void>;

  /** Requests since `ignorePastRequests`, oldest first; with `since` and `seconds`, as soon as there are any. */
  requests(criteria?: RequestCriteria & { since?: number; seconds?: number }): Promise<LoggedRequest[]>;
  /** The request of that id (an answer's `cf-ai-req-id`), once it is in a state, by default any end. */
  request(id: string, options?: { state?: string; seconds?: number }): Promise<LoggedRequest>;
  /** The latest matching request, as soon as there is one. */
  waitForRequest(criteria?: RequestCriteria & { seconds?: number }): Promise<LoggedRequest>;
  /** Leave the requests so far out of what this client's methods return from now on. */
  ignorePastRequests(): Promise<void>;
  /** Clear faults and scripted answers, and ignore past requests. */
  reset(): Promise<void>;
}

/** Start a simulator on a free port, with further options of its command. In Node.js only. */
export function startSimulator(args?: string[]): Promise<{ url: string; stop(): Promise<void> }>;

type Hook = (callback: () => Promise<void> | void) => unknown;

/** The hooks of node:test, or of vitest: `useSimulator(await import("node:test"))`. */
export interface Hooks {
  before?: Hook;
  after?: Hook;
  beforeAll?: Hook;
  afterAll?: Hook;
  beforeEach: Hook;
  afterEach: Hook;
}

export interface UseSimulatorOptions {
  /** Address of a simulator that runs already; by default one is started for the file. */
  url?: string;
  /** Fail a test whose calls no scripted answer is for, or that leaves answers unused. */
  strict?: boolean;
  /** Options of the simulator that is started. */
  args?: string[];
}

/** A simulator for the tests of a file; each test begins without faults, scripted answers and earlier requests. */
export function useSimulator(hooks: Hooks, options?: UseSimulatorOptions): SimulatorClient;
