/** One file to the object store, as a form under the upload's policy; by XMLHttpRequest, which alone tells how far it is. */
import type { UploadOpenedOut } from "../../api/generated";

/** `status` 0: there was no answer. */
export interface Posted {
  status: number;
  /** The `Code` of an S3 error document. */
  code: string;
}

export function post(
  policy: UploadOpenedOut,
  number: number,
  blob: Blob,
  onSent: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Posted> {
  const name = String(number).padStart(6, "0");
  const form = new FormData();
  for (const [field, value] of Object.entries(policy.post.fields)) form.append(field, value);
  form.append("key", policy.key_prefix + name);
  form.append("file", blob, name); // the file's own name stays here
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const end = (posted: Posted) => {
      signal.removeEventListener("abort", abort);
      done(posted);
    };
    request.upload.addEventListener("progress", ({ loaded }) => onSent(Math.min(loaded, blob.size)));
    request.addEventListener("load", () =>
      end({ status: request.status, code: /<Code>([^<]{1,100})/.exec(request.responseText)?.[1] ?? "" }),
    );
    request.addEventListener("error", () => end({ status: 0, code: "" }));
    request.addEventListener("abort", () => failed(signal.reason));
    signal.addEventListener("abort", abort);
    request.open("POST", policy.post.url);
    request.send(form);
  });
}
