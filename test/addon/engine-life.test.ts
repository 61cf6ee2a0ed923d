import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { EngineEvent, EngineOptions } from '../../src/engine/engine.ts';
import { fileName, platformName } from '../../src/addon/platform.ts';
import { createNativeEngine } from '../../src/engine/native/engine.ts';
import { Bench, TEST_LIMITS, respondTo, send, until, within } from '../engine/harness.ts';
import { theAddon } from './native.ts';

const { EngineHandle } = theAddon();
const root = fileURLToPath(new URL('../..', import.meta.url));
const file = join(root, 'native', 'addon', fileName(platformName()));
const bobUri = 'msrp://bob.example:2855/bob;tcp';

const make = (options: EngineOptions) =>
  createNativeEngine(options, {
    EngineHandle,
    workers: 2,
    onFault: (detail) => {
      throw new Error(`a worker has failed: ${detail}`);
    },
  });

/** Threads of engines in this process. */
function threads(): number {
  const names = readdirSync('/proc/self/task').map((id) => {
    try {
      return readFileSync(`/proc/self/task/${id}/comm`, 'utf8');
    } catch {
      // It has just ended.
      return '';
    }
  });
  return names.filter((name) => name.startsWith('msrp-')).length;
}

/** Nobody listens on it. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** What a script without types makes an engine of. */
const SETTINGS = JSON.stringify({
  workers: 2,
  nowMs: 1000,
  ownClock: true,
  ringEvents: 64,
  limits: TEST_LIMITS,
});

/** A script that has an engine listen. `wake`: what it does when events wait. */
const scriptOf = (wake: string): string => `
  const { EngineHandle } = require(${JSON.stringify(file)});
  let handle = new EngineHandle({ ...${SETTINGS}, seed: new Uint8Array(32) }, ${wake});
  const { port } = handle.listen('127.0.0.1', 0);
`;

describe('life of native engines', () => {
  const hello = async (bench: Bench, tid: string): Promise<void> => {
    const alice = await bench.client(`alice${tid}`);
    const bob = await bench.connect();
    bob.write(send(tid, [alice.uri, alice.own], bobUri, tid));
    const got = await alice.peer.request('SEND');
    assert.equal(got.body?.toString(), tid);
    alice.peer.write(respondTo(got, 200));
    await bob.response(200);
  };

  it('two in one process know nothing of each other, and one outlives the other', async () => {
    const [one, two] = await Promise.all([Bench.start(make), Bench.start(make)]);
    // A thread has its name a moment after it was started.
    await until('four threads', () => threads() === 4);
    await Promise.all([hello(one, 'one1'), hello(two, 'two1')]);
    await one.stop();
    await until('two threads to end', () => threads() === 2);
    assert.ok(await isFree(one.port));
    await hello(two, 'two2');
    await two.stop();
    await until('all threads to end', () => threads() === 0);
  });

  it('stop can be repeated, and commands after it do nothing', async () => {
    const bench = await Bench.start(make);
    const alice = await bench.client('alice');
    const { engine } = bench;
    await Promise.all([engine.stop(), engine.stop()]);
    await engine.stop();
    const events = bench.events.length;
    assert.ok(bench.events.some((event: EngineEvent) => event.type === 'closed' && event.reason === 'shutdown'));
    engine.unlisten(1);
    engine.setAuthorities([]);
    engine.setLimits(TEST_LIMITS);
    engine.openSession({
      uri: alice.uri,
      clientPath: [alice.own],
      previousHop: { connection: alice.peer.connection },
      expiresAtMs: 1e12,
      exclusivePeer: false,
    });
    engine.extendSession(alice.session, 1);
    engine.closeSession(alice.session, 'command');
    engine.answer(1, { status: 200, comment: '', headers: [] });
    engine.connectHop(1, { key: 'k', candidates: [{ address: '127.0.0.1', port: bench.port }], timeoutMs: 1 });
    engine.refuseHop(1, 403);
    engine.identify(alice.peer.connection, 'relay.example');
    engine.closeConnection(alice.peer.connection, 'command');
    assert.deepEqual([engine.connections(), engine.sessions(), engine.stats().connections], [[], [], 0]);
    await engine.drain(1000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(bench.events.length, events);
    await until('all threads to end', () => threads() === 0);
    await bench.stop();
  });

  it('a thread of Node that is terminated takes its engine along, under traffic', async () => {
    for (let round = 0; round < 5; round++) {
      const source = `${scriptOf('() => handle.takeEvents()')} require('node:worker_threads').parentPort.postMessage(port);`;
      const worker = new Worker(source, { eval: true, execArgv: [], env: { ...process.env, NODE_OPTIONS: '' } });
      const port = await within('an engine', new Promise<number>((resolve) => worker.once('message', resolve)));
      const sockets: Socket[] = [];
      for (let i = 0; i < 50; i++) {
        const socket = connect({ host: '127.0.0.1', port });
        socket.on('error', () => undefined);
        // Events without end: each is a request that nobody answers, or an end.
        socket.on('connect', () => socket.write(send('none', [`msrp://127.0.0.1:${port}/x;tcp`], bobUri)));
        sockets.push(socket);
      }
      await until('traffic', () => sockets.every(({ pending, destroyed }) => !pending || destroyed));
      await until('its threads', () => threads() === 2);
      await within('its end', worker.terminate());
      await until('the threads to end', () => threads() === 0);
      await until('the port to be free', () => isFree(port));
      for (const socket of sockets) socket.destroy();
    }
  });

  /** Runs a script in a process of its own, which ends by itself; returns what it has said. */
  const runs = async (script: string): Promise<string> => {
    const env = { ...process.env, NODE_OPTIONS: '' };
    const child = spawn(process.execPath, ['--expose-gc', '-e', script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (data: Buffer) => (said += data.toString()));
    const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
    try {
      assert.equal(await within('its end', ended), 0);
    } finally {
      child.kill('SIGKILL');
    }
    return said;
  };

  it('a stopped engine does not keep the process alive', async () => {
    const said = await runs(`${scriptOf('() => handle.takeEvents()')}
      const socket = require('node:net').connect(port, '127.0.0.1', () => {
        handle.stop();
        handle.stop();
        console.log(JSON.parse(handle.stats()).closes.find(({ name }) => name === 'shutdown') !== undefined);
      });
      socket.on('error', () => undefined);
    `);
    assert.equal(said, 'true\n');
  });

  it('an engine that nobody holds any more goes with the garbage: its threads end, and its port is free', async () => {
    const said = await runs(`${scriptOf('() => undefined')}
      const { readdirSync, readFileSync } = require('node:fs');
      const threads = () => readdirSync('/proc/self/task').filter((id) => {
        try { return readFileSync('/proc/self/task/' + id + '/comm', 'utf8').startsWith('msrp-'); } catch { return false; }
      }).length;
      while (threads() < 2);
      console.log('two threads');
      handle = undefined;
      const look = () => {
        gc();
        if (threads() > 0) return void setImmediate(look);
        const server = require('node:net').createServer();
        server.listen(port, '127.0.0.1', () => { console.log('free'); server.close(); });
      };
      setImmediate(look);
    `);
    assert.equal(said, 'two threads\nfree\n');
  });

  it('a process that ends with its engine running ends', async () => {
    const said = await runs(`${scriptOf('() => handle.takeEvents()')}
      require('node:net').connect(port, '127.0.0.1', () => { console.log('connected'); process.exit(0); });
    `);
    assert.equal(said, 'connected\n');
  });
});
