import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  digestResponse,
  digestRspauth,
  formatAuthorization,
  formatChallenge,
  ha1,
  parseAuthenticationInfo,
  parseDigest,
} from '../../src/syntax/digest.ts';

describe('digest (relay R-020…R-027)', () => {
  for (const [user, realm, password, uri, nonce, nc, cnonce, a1, response, rspauth] of [
    [
      'alice',
      'relay.example',
      'wonderland',
      'msrps://relay.example:2855;tcp',
      'n0nceAAAABBBBCCCCDDDD1234',
      '00000001',
      'c0ffee0123456789',
      '5955fc47dbf1be24e090119adb5d0100',
      '7c096d5b9d279e2f25e2bde21d8f1c5f',
      'a329b5112c38b0a510243ddad1a3da4d',
    ],
    [
      'alice',
      'relay.example',
      'wonderland',
      'msrps://relay.example;tcp',
      'n0nceAAAABBBBCCCCDDDD1234',
      '00000001',
      'c0ffee0123456789',
      '5955fc47dbf1be24e090119adb5d0100',
      'ac8a7db9f3b9a0e4d6d556d3a5239273',
      'f9fc6a9c01782291f0dd91bebc5808b7',
    ],
    [
      'alice',
      'relay.example',
      'wonderland',
      'msrps://relay.example;tcp',
      'nextN0nceEEEEFFFFGGGG5678',
      '00000001',
      'badcafe987654321',
      '5955fc47dbf1be24e090119adb5d0100',
      'b06c293bca1909c359e994d321c6d522',
      'be0e71e36368f05e71b9e2a2725fb3d6',
    ],
    [
      'alice',
      'outer.example',
      'looking-glass',
      'msrps://outer.example;tcp',
      'outerNonce0001',
      '00000001',
      'feedbeef00112233',
      'f14596c56202f6ba7bba0a7c10c60f8e',
      '481dc3112073cb68555a4578e27b0fa9',
      '4cff233b9bbc05c664b2c3e4e9dae4cc',
    ],
    [
      'bob:b',
      'relay.example',
      'p"w',
      'msrps://relay.example:9000/x;tcp',
      'abc',
      '00000002',
      'xyz',
      'b77bb89dfbe4be307af0547bb4429c80',
      'c05f767a76c50feea44935df8b886f7e',
      '82c9b9db9dce780976d0ab46334b1ee1',
    ],
  ] as const) {
    it(`${user} at ${uri}, nonce ${nonce}`, () => {
      assert.equal(ha1(user, realm, password), a1);
      const input = { ha1: a1, uri, nonce, nc, cnonce };
      assert.equal(digestResponse(input), response);
      assert.equal(digestRspauth(input), rspauth);
    });
  }

  it('D-34: parameters are read whatever their spelling', () => {
    const params = parseDigest(
      'digest  USERNAME = "a\\"b\\\\c" ,realm="r, s",nonce=abc==,qop="auth",  nc=00000001,unknown=x',
    );
    assert.deepEqual(Object.fromEntries(params ?? []), {
      username: 'a"b\\c',
      realm: 'r, s',
      nonce: 'abc==',
      qop: 'auth',
      nc: '00000001',
      unknown: 'x',
    });
  });

  it('what is malformed is refused', () => {
    for (const text of [
      '',
      'Basic abc',
      'Digest',
      'Digest ',
      'Digest a',
      'Digest a=',
      'Digest a=b,',
      'Digest a=b c=d',
      'Digest a="b',
      'Digest a=b, A=c',
      'Digest =b',
      `Digest ${Array.from({ length: 40 }, (_, i) => `a${i}=b`).join(',')}`,
    ]) {
      assert.equal(parseDigest(text), undefined, text);
    }
  });

  it('what is written is read', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', '\\', ' ', ',', '=', 'ü') });
    fc.assert(
      fc.property(text, text, text, (user, realm, opaque) => {
        const credentials = { user, realm, nonce: 'n', nc: '00000001', cnonce: 'c', response: 'r', opaque };
        const params = parseDigest(formatAuthorization(credentials));
        assert.deepEqual([params?.get('username'), params?.get('realm'), params?.get('opaque')], [user, realm, opaque]);
        assert.equal(parseDigest(formatChallenge({ realm, nonce: 'x', stale: true }))?.get('realm'), realm);
      }),
    );
    // quoted in the challenge, unquoted in what the client sends.
    assert.match(formatChallenge({ realm: 'r', nonce: 'n', stale: false }), /qop="auth"/);
    assert.match(
      formatAuthorization({ user: 'u', realm: 'r', nonce: 'n', nc: '00000001', cnonce: 'c', response: 'x' }),
      /qop=auth,/,
    );
    assert.equal(parseAuthenticationInfo('qop=auth,rspauth="x",cnonce="y",nc=00000001')?.get('rspauth'), 'x');
  });
});
