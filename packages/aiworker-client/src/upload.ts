import type { Send } from "./transport.js";

/** Bytes of a request's body, which has a few hundred more than the file. */
export interface UploadProgress {
  loaded: number;
  total: number;
}

/**
 * Return a function that sends a file as `fetch` does, and reports its progress.
 *
 * Browsers tell the progress of an upload to XMLHttpRequest alone. Where there is none, as in Node.js, the file is sent by
 * `fetch`, and only its beginning and its end are reported.
 */
export function sendWithProgress(size: number, fetch: Send, onProgress: (progress: UploadProgress) => void): Send {
  if (typeof XMLHttpRequest !== "undefined") return (url, init) => sendByXhr(url, init, onProgress);
  return async (url, init) => {
    onProgress({ loaded: 0, total: size });
    const response = await fetch(url, init);
    onProgress({ loaded: size, total: size });
    return response;
  };
}

function sendByXhr(url: string, init: RequestInit, onProgress: (progress: UploadProgress) => void): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { signal } = init;
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    signal?.throwIfAborted();
    xhr.open(init.method ?? "POST", url);
    for (const [name, value] of new Headers(init.headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded, total }) => onProgress({ loaded, total });
    xhr.onload = () => resolve(toResponse(xhr));
    xhr.onerror = () => reject(new TypeError("The upload has failed."));
    xhr.onabort = () => reject(signal?.reason);
    xhr.onloadend = () => signal?.removeEventListener("abort", abort);
    signal?.addEventListener("abort", abort, { once: true });
    xhr.send(init.body as XMLHttpRequestBodyInit | null);
  });
}

function toResponse(xhr: XMLHttpRequest): Response {
  const headers = new Headers();
  for (const line of xhr.getAllResponseHeaders().trim().split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return new Response(xhr.status === 204 ? null : xhr.responseText, { status: xhr.status, headers });
}
