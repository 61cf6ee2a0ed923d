import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { TestCa } from '../listen/certificates.ts';
import { developmentFiles } from '../../src/tls/development.ts';

const NAMES = ['localhost', '127.0.0.1', '::1'];
const NOW = Date.now();
const DAY_MS = 86_400_000;

function newFolder(): string {
  return join(mkdtempSync(join(tmpdir(), 'msrpd-development-')), 'tls');
}

/** The files of a folder by name. */
function contents(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

function certificate(folder: string): X509Certificate {
  return new X509Certificate(readFileSync(join(folder, 'cert.pem')));
}

describe('development CA', () => {
  it('makes a CA and a certificate that only their owner can read', async () => {
    const folder = newFolder();
    const files = await developmentFiles(folder, NAMES, NOW);
    assert.equal(files.renewed, true);
    const names = ['ca-key.pem', 'ca.pem', 'cert.pem', 'key.pem'];
    assert.deepEqual(readdirSync(folder).toSorted(), names);
    for (const name of names) assert.equal((statSync(join(folder, name)).mode & 0o777).toString(8), '600', name);
    assert.equal((statSync(folder).mode & 0o777).toString(8), '700');
    const leaf = certificate(folder);
    assert.equal(leaf.ca, false);
    assert.equal(leaf.checkHost('localhost'), 'localhost');
    for (const address of ['127.0.0.1', '::1']) assert.equal(leaf.checkIP(address), address);
    assert.equal(leaf.checkHost('relay.example'), undefined);
  });

  it('openssl verifies it, for servers and for clients, by the letter of RFC 5280', async () => {
    const folder = newFolder();
    const { ca, certificate: leaf } = await developmentFiles(folder, NAMES, NOW);
    for (const purpose of ['sslserver', 'sslclient'])
      for (const name of [
        ['-verify_hostname', 'localhost'],
        ['-verify_ip', '::1'],
      ]) {
        const options = ['-x509_strict', '-purpose', purpose, ...name, '-CAfile', ca, '-no-CApath', '-no-CAstore'];
        const { status, stderr } = spawnSync('openssl', ['verify', ...options, leaf], { encoding: 'utf8' });
        assert.equal(status, 0, stderr);
      }
  });

  it('what is good is kept, octet for octet', async () => {
    const folder = newFolder();
    await developmentFiles(folder, NAMES, NOW);
    const before = contents(folder);
    assert.equal((await developmentFiles(folder, NAMES, NOW + 70 * DAY_MS)).renewed, false);
    assert.deepEqual(contents(folder), before);
  });

  it('a certificate that ends soon is made again by the same CA; then one that ends soon, too', async () => {
    const folder = newFolder();
    await developmentFiles(folder, NAMES, NOW);
    const before = contents(folder);
    assert.equal((await developmentFiles(folder, NAMES, NOW + 77 * DAY_MS)).renewed, true);
    const renewed = contents(folder);
    assert.deepEqual([renewed['ca.pem'], renewed['ca-key.pem']], [before['ca.pem'], before['ca-key.pem']]);
    assert.notEqual(renewed['cert.pem'], before['cert.pem']);
    assert.ok(Date.parse(certificate(folder).validTo) > NOW + 160 * DAY_MS, 'it lasts for 90 days again');
    assert.equal((await developmentFiles(folder, NAMES, NOW + 3640 * DAY_MS)).renewed, true);
    const last = contents(folder);
    assert.notEqual(last['ca.pem'], before['ca.pem']);
    const issuer = new X509Certificate(last['ca.pem'] as string);
    assert.equal(certificate(folder).verify(issuer.publicKey), true);
  });

  it('other names, a key that is not its own, a file that is none: made again', async () => {
    const folder = newFolder();
    await developmentFiles(folder, ['localhost'], NOW);
    assert.equal((await developmentFiles(folder, NAMES, NOW)).renewed, true);
    assert.equal(certificate(folder).checkIP('::1'), '::1');
    const { 'ca-key.pem': caKey = '', 'ca.pem': ca } = contents(folder);
    for (const text of [caKey, 'nonsense', '']) {
      writeFileSync(join(folder, 'key.pem'), text);
      assert.equal((await developmentFiles(folder, NAMES, NOW)).renewed, true);
      assert.equal((await developmentFiles(folder, NAMES, NOW)).renewed, false);
      assert.equal(contents(folder)['ca.pem'], ca);
    }
    writeFileSync(join(folder, 'cert.pem.new'), 'left behind', { mode: 0o666 });
    writeFileSync(join(folder, 'cert.pem'), 'nonsense');
    assert.equal((await developmentFiles(folder, NAMES, NOW)).renewed, true);
    assert.equal(statSync(join(folder, 'cert.pem')).mode & 0o077, 0);
  });

  it('certificates of somebody else are never replaced', async () => {
    const own = newFolder();
    await developmentFiles(own, NAMES, NOW);
    const elsewhere = mkdtempSync(join(tmpdir(), 'msrpd-development-'));
    writeFileSync(join(elsewhere, 'cert.pem'), contents(own)['cert.pem'] as string);
    const before = contents(elsewhere);
    await assert.rejects(developmentFiles(elsewhere, NAMES, NOW), /certificates that are not of msrpd/);
    assert.deepEqual(contents(elsewhere), before);
    // Beside our own CA, too, with or without its key.
    const foreign = await (await TestCa.create()).issue('own.example');
    for (const key of [foreign.key, 'elsewhere']) {
      writeFileSync(join(own, 'cert.pem'), foreign.certificate);
      writeFileSync(join(own, 'key.pem'), key);
      const kept = contents(own);
      await assert.rejects(developmentFiles(own, ['other.example'], NOW + 3640 * DAY_MS), /cert\.pem is not of msrpd/);
      assert.deepEqual(contents(own), kept);
    }
  });
});
