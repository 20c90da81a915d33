// Asks the gateway that the page came from; it and nobody else. XMLHttpRequest, because fetch does not say how far an upload is.

const ROOT = new URL("../../", import.meta.url);

/** An answer that is not 2xx, or none at all. */
export class Problem extends Error {
  constructor({ code, message, details = {}, requestId = "", retryAfter = 0 }) {
    super(message);
    Object.assign(this, { code, details, requestId, retryAfter });
  }
}

export async function config() {
  const response = await fetch(new URL("config", ROOT));
  if (!response.ok) throw new Error("no /config");
  return response.json();
}

export function post(path, content, options) {
  return send("POST", path, content, options);
}

/** Sends an object as JSON, a form, nothing (null), or (with its type) text; resolves to {body, timing}. `onUpload` is told which share has gone out. */
export function send(method, path, content, { key = "", type = "", signal, onUpload = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, new URL(path, ROOT));
    request.responseType = "text";
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.upload.onprogress = (event) => event.lengthComputable && onUpload(event.loaded / event.total);
    request.onload = () => {
      const body = read(request.responseText);
      if (request.status === 200 && body) resolve({ body, timing: request.getResponseHeader("Server-Timing") ?? "" });
      else reject(problem(request, body));
    };
    request.onerror = () => reject(new Problem({ code: "unreachable", message: "The gateway did not answer." }));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    if (content instanceof FormData || content === null) {
      request.send(content);
    } else if (type) {
      request.setRequestHeader("Content-Type", type);
      request.send(content);
    } else {
      request.setRequestHeader("Content-Type", "application/json");
      request.send(JSON.stringify(content));
    }
  });
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problem(request, body) {
  const error = body?.error ?? { code: "unreadable", message: `Something between this page and the gateway answered ${request.status}.` };
  return new Problem({
    code: error.code,
    message: error.message,
    details: error.details ?? {},
    requestId: error.request_id ?? request.getResponseHeader("X-Request-Id") ?? "",
    retryAfter: Number(request.getResponseHeader("Retry-After") ?? 0),
  });
}

/** The same request for a terminal. The key stays out of it. */
export function asCurl(path, content, hasKey) {
  const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
  const lines = [`curl -s ${quoted(new URL(path, ROOT).href)}`];
  if (hasKey) lines.push('-H "Authorization: Bearer $KEY"');
  if (content instanceof FormData) {
    for (const [name, value] of content) {
      lines.push(value instanceof File ? `-F ${quoted(`${name}=@${value.name}`)}` : `--form-string ${quoted(`${name}=${value}`)}`);
    }
  } else {
    lines.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(content))}`);
  }
  return lines.join(" \\\n  ");
}
