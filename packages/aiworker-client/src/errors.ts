/**
 * The errors that the client throws.
 *
 *     AiworkerError
 *     ├── ApiError                     the Worker's own answer; one class for each `type`
 *     │   ├── InvalidRequestError      400
 *     │   ├── UnauthorizedError        401
 *     │   ├── ForbiddenError           403
 *     │   ├── NotFoundError            404
 *     │   ├── ModelNotFoundError       404
 *     │   ├── NotConfiguredError       404
 *     │   ├── MethodNotAllowedError    405
 *     │   ├── ModelTimeoutError        408
 *     │   ├── PayloadTooLargeError     413
 *     │   ├── ContextExceededError     413
 *     │   ├── UnsupportedMediaTypeError 415
 *     │   ├── UnprocessableError       422
 *     │   ├── ContentBlockedError      422
 *     │   ├── RateLimitedError         429
 *     │   ├── BudgetExceededError      429
 *     │   ├── InternalError            500
 *     │   ├── UpstreamError            502
 *     │   └── UnavailableError         503
 *     ├── ConnectionError              no answer: offline, a wrong address, an origin that is not allowed
 *     ├── UnexpectedResponseError      an answer that is not the Worker's
 *     ├── StreamInterruptedError       a stream that ended before the model had finished
 *     ├── TokenError                   `getToken` has failed
 *     └── DocumentFailedError          a document that could not be indexed
 *
 * An abort by your `signal` is not among them: it throws the signal's reason, as `fetch` does.
 */
import type { DocumentState, ErrorDetail, ErrorType } from "./types.js";

/** An error of this client. */
export class AiworkerError extends Error {
  override name = "AiworkerError";
  /** `x-request-id` of the response, which the Worker's log has too; null without a response of the Worker. */
  readonly requestId: string | null;

  constructor(message: string, options: ErrorOptions & { requestId?: string | null } = {}) {
    super(message, options);
    this.requestId = options.requestId ?? null;
  }
}

/** An error response of the Worker, or the error in its stream. */
export class ApiError extends AiworkerError {
  override name = "ApiError";
  readonly type: ErrorType;
  /** HTTP status; null for an error within a stream, whose status was 200. */
  readonly status: number | null;
  /** Number of the error in Workers AI. */
  readonly code: number | null;
  /** The field at fault, dotted: `messages.0.role`. */
  readonly param: string | null;
  /** Workers AI's own code, if it has refused the call. */
  readonly upstreamCode: number | null;
  /** Seconds after which the same request may succeed. */
  readonly retryAfter: number | null;
  /** Values that only errors of this type have, such as the categories of `content_blocked`. */
  readonly details: unknown;

  constructor(detail: ErrorDetail, status: number | null, options: ErrorOptions = {}) {
    super(detail.message, { ...options, requestId: detail.request_id });
    this.type = detail.type;
    this.status = status;
    this.code = detail.code;
    this.param = detail.param;
    this.upstreamCode = detail.upstream_code;
    this.retryAfter = detail.retry_after;
    this.details = (detail as { details?: unknown }).details;
  }
}

export class InvalidRequestError extends ApiError {
  override name = "InvalidRequestError";
}
export class UnauthorizedError extends ApiError {
  override name = "UnauthorizedError";
}
export class ForbiddenError extends ApiError {
  override name = "ForbiddenError";
}
export class NotFoundError extends ApiError {
  override name = "NotFoundError";
}
export class ModelNotFoundError extends ApiError {
  override name = "ModelNotFoundError";
}
export class NotConfiguredError extends ApiError {
  override name = "NotConfiguredError";
}
export class MethodNotAllowedError extends ApiError {
  override name = "MethodNotAllowedError";
}
export class ModelTimeoutError extends ApiError {
  override name = "ModelTimeoutError";
}
export class PayloadTooLargeError extends ApiError {
  override name = "PayloadTooLargeError";
}
export class ContextExceededError extends ApiError {
  override name = "ContextExceededError";
}
export class UnsupportedMediaTypeError extends ApiError {
  override name = "UnsupportedMediaTypeError";
}
export class UnprocessableError extends ApiError {
  override name = "UnprocessableError";
}
export class ContentBlockedError extends ApiError {
  override name = "ContentBlockedError";
}
export class RateLimitedError extends ApiError {
  override name = "RateLimitedError";
}
export class BudgetExceededError extends ApiError {
  override name = "BudgetExceededError";
}
export class InternalError extends ApiError {
  override name = "InternalError";
}
export class UpstreamError extends ApiError {
  override name = "UpstreamError";
}
export class UnavailableError extends ApiError {
  override name = "UnavailableError";
}

/** No answer: this machine is offline, the address is wrong, or the page's origin is not allowed. */
export class ConnectionError extends AiworkerError {
  override name = "ConnectionError";
}

/** An answer that is not the Worker's: of a proxy, or of another server at a wrong address. */
export class UnexpectedResponseError extends AiworkerError {
  override name = "UnexpectedResponseError";
  readonly status: number;
  /** Seconds of the header `retry-after`. */
  readonly retryAfter: number | null;

  constructor(message: string, response: Response, options: ErrorOptions = {}) {
    super(message, { ...options, requestId: response.headers.get("x-request-id") });
    this.status = response.status;
    const seconds = response.headers.get("retry-after");
    this.retryAfter = seconds !== null && /^\d+$/.test(seconds) ? Number(seconds) : null;
  }
}

/** A stream that ended, or broke, before the model had finished. What had arrived was yielded. */
export class StreamInterruptedError extends AiworkerError {
  override name = "StreamInterruptedError";
}

/** `getToken` has thrown, or its endpoint has answered something other than a token. */
export class TokenError extends AiworkerError {
  override name = "TokenError";
  /** HTTP status of the endpoint; null if there was none. */
  readonly status: number | null;

  constructor(message: string, options: ErrorOptions & { status?: number } = {}) {
    super(message, options);
    this.status = options.status ?? null;
  }
}

/** A document that could not be indexed. The message is the reason. */
export class DocumentFailedError extends AiworkerError {
  override name = "DocumentFailedError";
  readonly document: DocumentState;

  constructor(document: DocumentState) {
    super(document.reason ?? `The document ${document.id} could not be indexed.`);
    this.document = document;
  }
}
