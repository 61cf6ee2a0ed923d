import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseUri, sameUriText } from '../../src/syntax/uri.ts';

describe('MSRP URIs (core section 7)', () => {
  it('are taken apart', () => {
    assert.deepEqual(parseUri('MSRPS://bob%40home@Relay.Example:2855/aB~.-_+=/x;TCP;p=q'), {
      text: 'MSRPS://bob%40home@Relay.Example:2855/aB~.-_+=/x;TCP;p=q',
      scheme: 'msrps',
      userinfo: 'bob%40home',
      host: 'relay.example',
      hostKind: 'name',
      port: 2855,
      sessionId: 'aB~.-_+=/x',
      transport: 'tcp',
    });
    assert.equal(parseUri('msrp://[2001:DB8:0::1]:1/x;ws')?.host, '2001:db8::1');
    assert.equal(parseUri('msrp://10.0.0.1:1/x;tcp')?.hostKind, 'ipv4');
    assert.equal(parseUri('msrps://relay.example;tcp')?.port, undefined);
  });

  it('are refused when they are none', () => {
    for (const text of [
      '',
      'undefined',
      'msrp://',
      'msrp://a',
      'msrp://a;',
      'msrp://a:0/x;tcp',
      'msrp://a:65536/x;tcp',
      'msrp://a:/x;tcp',
      'msrp://a/;tcp',
      'msrp://a b/x;tcp',
      'msrp://[::1/x;tcp',
      'msrp://::1/x;tcp',
      'msrp://[fe80::1%25eth0]:1/x;tcp',
      'msrp://a/x;tcp;=y',
      'msrp://a/x;tcp\n',
      'msrp://a/x;t-p',
      'sip:a@b',
    ]) {
      assert.equal(parseUri(text), undefined, text);
    }
  });

  for (const [a, b, same] of [
    ['msrp://a:1/x;tcp', 'MSRP://A:1/x;TCP', true],
    ['msrp://u@a:1/x;tcp', 'msrp://v@a:1/x;tcp', true],
    ['msrp://a:1/x;tcp;p=1', 'msrp://a:1/x;tcp;q', true],
    ['msrp://%61:1/x;tcp', 'msrp://a:1/x;tcp', true],
    ['msrp://[::1]:1/x;tcp', 'msrp://[0:0:0:0:0:0:0:1]:1/x;tcp', true],
    ['msrp://[::ffff:1.2.3.4]:1/x;tcp', 'msrp://[::ffff:102:304]:1/x;tcp', true],
    ['msrp://a:1/x;tcp', 'msrps://a:1/x;tcp', false],
    ['msrp://a:1/x;tcp', 'msrp://a:2/x;tcp', false],
    ['msrp://a/x;tcp', 'msrp://a:2855/x;tcp', false],
    ['msrp://a:1/x;tcp', 'msrp://a:1/X;tcp', false],
    ['msrp://a:1/x;tcp', 'msrp://a:1;tcp', false],
    ['msrp://a:1/x;tcp', 'msrp://a:1/x;ws', false],
  ] as const) {
    it(`${a} is ${same ? '' : 'not '}${b}`, () => {
      assert.equal(sameUriText(a, b), same);
      assert.equal(sameUriText(b, a), same);
    });
  }

  it('any text gives an answer, soon', () => {
    fc.assert(fc.property(fc.string(), (text) => parseUri(text) === undefined || text.includes('://')));
    // One pass: nothing in it can be made to backtrack.
    assert.equal(parseUri(`msrp://${'a%41'.repeat(20_000)}`), undefined);
    assert.equal(parseUri(`msrp://a/x;tcp${';a=b'.repeat(20_000)};`), undefined);
    assert.equal(parseUri(`msrp://${'a:'.repeat(20_000)}`), undefined);
  });
});
