import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { MsrpClient } from '../../src/endpoint/client.ts';
import type { IncomingMessage } from '../../src/endpoint/receiver.ts';
import { until, within } from '../engine/harness.ts';
import type { Pair } from './certificates.ts';
import { file } from './fixture.ts';
import type { Fixture } from './fixture.ts';

export const user = { user: 'alice', password: 'secret' };

/** Of both relays. */
export const COMMON = `msrp: {send_timeout: 30000, max_msg_chunks: 0, tls_handshake_timeout: 10000}
relay: {allow_ip_use_path: true, next_hops: {allow: [127.0.0.0/8, "::1"]}}`;

let written = 0;

/** A certificate and its key as keys of a domain. */
export function files({ certificate, key }: Pair): string {
  written++;
  const [own, secret] = [file(`chain${written}.pem`, certificate), file(`chain${written}.key`, key)];
  return `certificate: ${own}, private_key: ${secret}`;
}

export async function next(client: MsrpClient): Promise<IncomingMessage> {
  const [message] = (await within('a message', once(client, 'message'))) as [IncomingMessage];
  return message;
}

/** What a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<{ code?: string; status?: number }> {
  return promise.then(
    () => assert.fail('it should not have worked'),
    (error: unknown) => error as { code?: string; status?: number },
  );
}

/** A line of the log: workers tell what they have done a moment later. */
export async function told(
  { lines }: Fixture,
  wanted: (line: Record<string, unknown>) => boolean,
): Promise<Record<string, unknown>> {
  let line: Record<string, unknown> | undefined;
  await until('a line of the log', () => (line = lines.find(wanted)) !== undefined);
  return line!;
}
