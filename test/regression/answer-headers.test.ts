import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Bench, ENGINES, frame, header } from '../engine/harness.ts';

// Header texts of the control plane were cut to bytes: U+010D U+010A became CR LF, and what followed a frame of its own.
for (const { name, make } of ENGINES) {
  it(`${name}: what an answer carries is UTF-8, and never a second line`, async () => {
    await using bench = await Bench.start(make);
    const peer = await bench.connect();
    peer.write(frame('auth1', 'AUTH', `msrp://127.0.0.1:${bench.port};tcp`, 'msrp://a.example:1/x;tcp'));
    const { request } = await bench.event('request');
    bench.engine.answer(request, {
      status: 401,
      comment: 'no',
      headers: [
        ['X-Wide', 'a\u010d\u010ab ü'],
        ['X-Split', 'a\r\nX-More: b'],
      ],
    });
    const answer = await peer.response(401);
    assert.equal(header(answer, 'X-Wide'), 'a\u010d\u010ab ü');
    assert.deepEqual(answer.headers.length, 1);
  });
}
