/** Error responses of the Worker, and answers of other servers. */
import * as errors from "./errors.js";
import { ApiError, UnexpectedResponseError } from "./errors.js";
import type { ErrorDetail, ErrorType } from "./types.js";

const CLASSES: Record<ErrorType, typeof ApiError> = {
  invalid_request: errors.InvalidRequestError,
  unauthorized: errors.UnauthorizedError,
  forbidden: errors.ForbiddenError,
  not_found: errors.NotFoundError,
  model_not_found: errors.ModelNotFoundError,
  not_configured: errors.NotConfiguredError,
  method_not_allowed: errors.MethodNotAllowedError,
  timeout: errors.ModelTimeoutError,
  payload_too_large: errors.PayloadTooLargeError,
  context_exceeded: errors.ContextExceededError,
  unsupported_media_type: errors.UnsupportedMediaTypeError,
  unprocessable: errors.UnprocessableError,
  content_blocked: errors.ContentBlockedError,
  rate_limited: errors.RateLimitedError,
  budget_exceeded: errors.BudgetExceededError,
  internal_error: errors.InternalError,
  upstream_error: errors.UpstreamError,
  unavailable: errors.UnavailableError,
};

/** Return the error of its type. A type of a newer Worker, which has no class here, is an ApiError. */
export function apiError(detail: ErrorDetail, status: number | null): ApiError {
  const Class = Object.hasOwn(CLASSES, detail.type) ? CLASSES[detail.type] : ApiError;
  return new Class(detail, status);
}

/** Return the `error` of a body; null if it has none in the Worker's form. */
export function errorDetail(body: unknown): ErrorDetail | null {
  const error = (body as { error?: Partial<ErrorDetail> } | null)?.error;
  return typeof error?.type === "string" && typeof error.message === "string" ? (error as ErrorDetail) : null;
}

/** Return the error of a response that is not `ok`. */
export async function responseError(response: Response): Promise<ApiError | UnexpectedResponseError> {
  const detail = errorDetail(await response.json().catch(() => null));
  if (detail) return apiError(detail, response.status);
  return new UnexpectedResponseError(`${notTheWorker(response)} Is baseUrl right?`, response);
}

/** Return the sentence about a response that is not the Worker's. */
export function notTheWorker(response: Response): string {
  const of = response.url ? ` of ${response.url}` : "";
  return `Something other than aiworker answered${of}, with HTTP status ${response.status}.`;
}
