// Requests that report how much of their body is sent.

/**
 * Send a request as fetch() does; return its response. `onProgress` is called with `{loaded, total}`, in bytes of the body.
 *
 * Browsers tell the progress of an upload to XMLHttpRequest alone. Throws TypeError without an answer, and AbortError after
 * an abort. The response is read whole: this is not for streams.
 */
export function fetchWithProgress(path, { method, headers, body, signal }, onProgress) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    xhr.open(method, path);
    xhr.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded, total }) => onProgress({ loaded, total });
    xhr.onload = () => resolve(responseOf(xhr));
    xhr.onerror = () => reject(new TypeError("The upload has failed."));
    xhr.onabort = () => reject(signal?.reason ?? new DOMException("The upload was stopped.", "AbortError"));
    xhr.onloadend = () => signal?.removeEventListener("abort", abort);
    signal?.addEventListener("abort", abort, { once: true });
    xhr.send(body);
  });
}

function responseOf(xhr) {
  const lines = xhr.getAllResponseHeaders().trim().split("\r\n").filter(Boolean);
  const headers = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return new Response(xhr.response.size ? xhr.response : null, {
    status: xhr.status,
    statusText: xhr.statusText,
    headers,
  });
}
