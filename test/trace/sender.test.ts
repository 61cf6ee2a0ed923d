import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { HEP_TYPE, encodeHep } from '../../src/trace/hep.ts';
import { parseHepId } from '../../src/trace/hep-id.ts';
import type { HepDestination } from '../../src/trace/hep-id.ts';
import { createSender } from '../../src/trace/sender.ts';
import type { HepSender } from '../../src/trace/sender.ts';
import { until, within } from '../engine/harness.ts';
import { TestCa } from '../listen/certificates.ts';
import { Collector } from './collector.ts';

const QUEUE = 1_048_576;

function sender(port: number, transport: string, ca?: string, verifyCert = true): HepSender {
  const destination = parseHepId(`localhost:${port};transport=${transport}`) as HepDestination;
  return createSender(
    { ...destination, host: transport === 'tls' ? 'localhost' : '127.0.0.1' },
    { queueBytes: QUEUE, ca, verifyCert, log: pino({ level: 'silent' }) },
  );
}

function packet(id: number, bytes = 100): Buffer {
  const there = { address: '192.0.2.1', port: 1 };
  return encodeHep(
    {
      source: there,
      destination: there,
      protocol: 6,
      timeUs: 0,
      type: HEP_TYPE.LOG,
      captureId: 1,
      payload: Buffer.alloc(bytes, 'x'),
      correlationId: String(id),
    },
    3,
  );
}

const idOf = ({ info }: { info: Readonly<Record<string, string | number>> }): number => Number(info['correlation_id']);

describe('the way to a collector (D-64)', () => {
  it('one that stops reading: the queue keeps its bound, the oldest goes, and what is new comes through when it reads again', async () => {
    await using collector = await Collector.start('tcp');
    const out = sender(collector.port, 'tcp');
    out.send(packet(0));
    await collector.until(1);
    for (const socket of collector.sockets) socket.pause();
    const total = 20_000;
    let most = 0;
    for (let id = 1; id <= total; id++) {
      out.send(packet(id, 1000));
      most = Math.max(most, out.queuedBytes);
      // The socket gets its turn now and then, as it does in a relay.
      if (id % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(most <= QUEUE, `${most} bytes queued`);
    assert.ok(out.dropped > 1000, `${out.dropped} dropped`);
    const size = packet(total, 1000).length;
    const waiting = Math.round(out.queuedBytes / size);
    assert.ok(Math.abs(out.sent + out.dropped + waiting - (total + 1)) <= 5, 'each is sent, dropped or waits');
    for (const socket of collector.sockets) socket.resume();
    await collector.until(1, (seen) => idOf(seen) === total);
    const ids = collector.seen.map(idOf);
    assert.deepEqual(
      ids,
      ids.toSorted((a, b) => a - b),
    );
    assert.equal(ids.length, out.sent);
    assert.equal(out.sent + out.dropped, total + 1);
    out.close();
  });

  it('one that is away, comes, goes and comes again: what waits goes out when it comes, and it is connected to anew', async () => {
    const first = await Collector.start('tcp');
    const { port } = first;
    await first[Symbol.asyncDispose]();
    const out = sender(port, 'tcp');
    out.send(packet(1));
    await using second = await Collector.start('tcp', { port });
    out.send(packet(2));
    assert.deepEqual((await second.until(2)).map(idOf), [1, 2]);
    const closed = Promise.all([...second.sockets].map((socket) => once(socket, 'close')));
    for (const socket of second.sockets) socket.destroy();
    await within('the end', closed);
    second.sockets.clear();
    // Whoever writes into a connection that has just been reset may lose a packet: until it has noticed, send another.
    let id = 3;
    await until('packets after the second connection', async () => {
      out.send(packet(id++));
      await new Promise((resolve) => setTimeout(resolve, 20));
      return second.seen.some((seen) => idOf(seen) >= 3);
    });
    out.close();
  });

  it('TLS: a certificate of a trusted CA, and none of another', async () => {
    const authority = await TestCa.create();
    const server = await authority.issue('localhost');
    await using collector = await Collector.start('tls', { key: server.key, cert: server.certificate });
    const trusted = sender(collector.port, 'tls', authority.certificate);
    trusted.send(packet(1));
    await collector.until(1);
    trusted.close();
    const other = await TestCa.create();
    const strict = sender(collector.port, 'tls', other.certificate);
    strict.send(packet(2));
    const loose = sender(collector.port, 'tls', other.certificate, false);
    loose.send(packet(3));
    await collector.until(1, (seen) => idOf(seen) === 3);
    assert.deepEqual(collector.seen.map(idOf), [1, 3]);
    assert.equal(strict.sent, 0);
    strict.close();
    loose.close();
  });

  it('UDP: datagrams; too long ones are dropped and counted', async () => {
    await using collector = await Collector.start('udp');
    const out = sender(collector.port, 'udp');
    for (let id = 1; id <= 10; id++) out.send(packet(id));
    assert.deepEqual((await collector.until(10)).map(idOf), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    out.send(Buffer.alloc(70_000));
    await until('the drop', () => out.dropped > 0);
    assert.deepEqual([out.sent, out.dropped, out.queuedBytes], [10, 1, 0]);
    out.close();
  });

  it('UDP to nobody: bounded, and never a failure of the caller', async () => {
    const collector = await Collector.start('udp');
    const { port } = collector;
    await collector[Symbol.asyncDispose]();
    const out = sender(port, 'udp');
    for (let id = 1; id <= 50_000; id++) out.send(packet(id, 200));
    assert.ok(out.queuedBytes <= QUEUE);
    await until('an empty queue', () => out.queuedBytes === 0);
    assert.equal(out.sent + out.dropped, 50_000);
    out.close();
  });
});
