/** Text of a peer made safe for a log line: printable ASCII, the rest escaped, cut to `maxLength` characters. */
export function escapePeer(text: string, maxLength = 128): string {
  let safe = '';
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (code >= 0x20 && code < 0x7f && char !== '"' && char !== '\\') safe += char;
    else if (char === '"' || char === '\\') safe += `\\${char}`;
    else safe += code > 0xff ? `\\u{${code.toString(16)}}` : `\\x${code.toString(16).padStart(2, '0')}`;
    if (safe.length >= maxLength) return `${safe.slice(0, maxLength)}…`;
  }
  return safe;
}

/** Text of a peer made safe for a terminal: letters of every script stay, what controls a terminal or hides is escaped. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029]/gu, (char) => {
    const code = char.codePointAt(0) as number;
    return code === 10 ? '\\n' : code === 13 ? '\\r' : code === 9 ? '\\t' : `\\u{${code.toString(16)}}`;
  });
}

/** The first characters of a session-id, enough to tell sessions apart in a log: the whole is a secret (C-117, R-095). */
export function shortSessionId(sessionId: string): string {
  return sessionId.length <= SHOWN ? '…' : `${escapePeer(sessionId.slice(0, SHOWN))}…`;
}

/** A URI whose session-id is shortened. */
export function redactUri(uri: string): string {
  const match = /^([a-z]+:\/\/[^/;]*)\/([^;]*)(.*)$/is.exec(uri);
  if (match === null) return escapePeer(uri);
  const [, authority, sessionId, rest] = match;
  return `${escapePeer(authority as string)}/${shortSessionId(sessionId as string)}${escapePeer(rest as string)}`;
}

const SHOWN = 4;
