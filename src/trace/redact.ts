/**
 * A frame without its secrets: of session-ids the first characters (core C-117, relay R-095), of digests nothing. The body is
 * left as it is.
 */
export function redactFrame(bytes: Uint8Array): Buffer {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const gap = text.indexOf('\r\n\r\n');
  const end = gap < 0 ? text.length : gap;
  const head = text
    .slice(0, end)
    .split('\r\n')
    .map((line) => {
      if (/^(?:to-path|from-path|use-path)\s*:/i.test(line)) return line.replaceAll(SESSION_ID, '$1$2***');
      return /^(?:authorization|www-authenticate|authentication-info)\s*:/i.test(line)
        ? line.replaceAll(CREDENTIAL, '$1="***"')
        : line;
    })
    .join('\r\n');
  return Buffer.from(head + text.slice(end), 'latin1');
}

/** The Message-ID, and what is shown of the session-id of the relay's own URI: the nearest one of the path. */
export function namesOf(frame: Buffer, direction: 'in' | 'out'): { 'message-id'?: string; session?: string } {
  const text = frame.toString('latin1', 0, 65_536);
  const messageId = /\r\nmessage-id\s*:\s*([^\s]{1,64})/i.exec(text)?.[1];
  const path = direction === 'in' ? 'to-path' : 'from-path';
  const session = new RegExp(`\\r\\n${path}\\s*:\\s*msrps?://[^\\s/;]*/([^\\s;*]{1,4})`, 'i').exec(text)?.[1];
  return {
    ...(messageId === undefined ? {} : { 'message-id': messageId }),
    ...(session === undefined ? {} : { session }),
  };
}

const SESSION_ID = /(msrps?:\/\/[^\s/;]*\/)([^\s;]{0,4})[^\s;]*/gi;
const CREDENTIAL = /\b(response|rspauth|c?nonce|nextnonce|opaque)\s*=\s*(?:"[^"]*"|[^\s,]*)/gi;
