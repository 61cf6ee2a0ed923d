import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { escapeControls, escapePeer, redactUri, shortSessionId } from '../../src/log/escape.ts';

describe('what peers say in a log', () => {
  it('is printable ASCII and bounded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const safe = escapePeer(text, 64);
        assert.match(safe, /^[\x20-\x7e]*…?$/);
        assert.ok(safe.length <= 65);
      }),
    );
    assert.equal(escapePeer('a"b\\c\r\n\x1b[31mü€'), 'a\\"b\\\\c\\x0d\\x0a\\x1b[31m\\xfc\\u{20ac}');
  });

  it('on a terminal keeps its letters and loses its controls', () => {
    assert.equal(escapeControls('Grüße 🌍\n\x1b[2J\u202e'), 'Grüße 🌍\\n\\u{1b}[2J\\u{202e}');
  });

  it('session-ids are never whole (C-117)', () => {
    assert.equal(
      redactUri('msrps://relay.example:2855/9dK2mQ7xR4tY1zWb0Lp8;tcp'),
      'msrps://relay.example:2855/9dK2…;tcp',
    );
    assert.equal(redactUri('msrp://a:1;tcp'), 'msrp://a:1;tcp');
    assert.equal(shortSessionId('abcd'), '…');
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9/._~+=-]{8,40}$/),
        (id) => !redactUri(`msrp://a:1/${id};tcp`).includes(id.slice(0, 5)),
      ),
    );
  });
});
