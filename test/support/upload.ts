/** Forms with files, as browsers send them (RFC 7578). */
import type { Browser, Page } from './browser.ts';

export interface Upload {
  name: string;
  content: string | Buffer;
}

interface UploadOptions {
  replace?: boolean;
  /** As the script of the page sends them: with the length before each file, and an answer that is JSON. */
  script?: boolean;
}

const boundary = '----browser7MA4YWxkTrZu0gW';

export function uploadBody(files: Upload[], { replace = false, script = false }: UploadOptions = {}): Buffer {
  const field = (name: string, value: string) =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const pieces: (string | Buffer)[] = replace ? [field('replace', 'yes')] : [];
  for (const { name, content } of files) {
    if (script) pieces.push(field('size', String(Buffer.byteLength(content))));
    const disposition = `form-data; name="file"; filename="${name.replaceAll('"', '%22')}"`;
    pieces.push(`--${boundary}\r\nContent-Disposition: ${disposition}\r\nContent-Type: text/plain\r\n\r\n`);
    pieces.push(content, '\r\n');
  }
  return Buffer.concat([...pieces, `--${boundary}--\r\n`].map((piece) => Buffer.from(piece)));
}

export function uploadHeaders({ script = false }: UploadOptions = {}): Record<string, string> {
  return {
    'content-type': `multipart/form-data; boundary=${boundary}`,
    accept: script ? 'application/json' : 'text/html,application/xhtml+xml,*/*;q=0.8',
  };
}

/** Sends files to the page of a folder. The answer's redirect is not followed. */
export async function upload(
  browser: Browser,
  folder: string,
  files: Upload[],
  options: UploadOptions = {},
): Promise<Page> {
  return await browser.stay(folder, {
    method: 'POST',
    headers: uploadHeaders(options),
    body: uploadBody(files, options),
  });
}
