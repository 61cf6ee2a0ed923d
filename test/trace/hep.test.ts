import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import hep from 'hep-js';
import { parseHepId } from '../../src/trace/hep-id.ts';
import { HEP_TYPE, MAX_PAYLOAD, encodeHep } from '../../src/trace/hep.ts';
import type { HepPacket } from '../../src/trace/hep.ts';

const PACKET: HepPacket = {
  source: { address: '192.0.2.1', port: 45060 },
  destination: { address: '192.0.2.2', port: 2855 },
  protocol: 6,
  timeUs: 1_732_308_992_123_456,
  type: HEP_TYPE.NET,
  captureId: 1,
  payload: Buffer.from('{}'),
  correlationId: '7',
};

describe('HEP packets', () => {
  it('version 3: the worked example, chunks in the order of OpenSIPS (H-001…H-004, H-020, H-021)', () => {
    const expected = `
      48455033 006c 0000 0001 0007 02 0000 0002 0007 06 0000 0007 0008 b004 0000 0008 0008 0b27
      0000 0009 000a 6740f000 0000 000a 000a 0001e240 0000 000b 0007 59 0000 000c 000a 00000001
      0000 0003 000a c0000201 0000 0004 000a c0000202 0000 000f 0008 7b7d 0000 0011 0007 37`;
    assert.equal(encodeHep(PACKET, 3).toString('hex'), expected.replaceAll(/\s/g, ''));
  });

  it('versions 1 and 2: header, addresses, time in little-endian order (H-010, H-011)', () => {
    const head = '0110 0206 b004 0b27 c0000201 c0000202';
    assert.equal(encodeHep(PACKET, 1).toString('hex'), `${head} 7b7d`.replaceAll(' ', ''));
    const second = `0210 0206 b004 0b27 c0000201 c0000202 00f04067 40e20100 0100 0000 7b7d`;
    assert.equal(encodeHep(PACKET, 2).toString('hex'), second.replaceAll(' ', ''));
  });

  it('IPv6, mapped IPv4 and unknown addresses', () => {
    const of = (source: string, destination: string, version: 1 | 3 = 3): string =>
      encodeHep(
        { ...PACKET, source: { address: source, port: 1 }, destination: { address: destination, port: 2 } },
        version,
      ).toString('hex');
    assert.ok(of('2001:db8::1:2', '::').includes('0005001620010db80000000000000000000100020000000600160000'));
    assert.ok(of('::ffff:192.0.2.1', '192.0.2.2').includes('0003000ac0000201'));
    assert.ok(of('192.0.2.1', '2001:db8::').includes('0005001600000000000000000000ffffc0000201'));
    assert.ok(of('fe80::1%eth0', 'fe80::192.0.2.1').includes('fe8000000000000000000000c0000201'));
    assert.ok(of('', '').includes('0003000a00000000'));
    assert.equal(of('2001:db8::1', '::1', 1).slice(0, 6), '01280a');
  });

  it('an independent decoder finds what was put in', () => {
    const address = fc.ipV4();
    const port = fc.nat(65535);
    fc.assert(
      fc.property(
        address,
        port,
        address,
        port,
        fc.string({ minLength: 1 }),
        fc.nat(),
        fc.nat(2 ** 32 - 1),
        (from, fromPort, to, toPort, payload, id, captureId) => {
          const packet = {
            ...PACKET,
            source: { address: from, port: fromPort },
            destination: { address: to, port: toPort },
            payload: Buffer.from(payload),
            correlationId: String(id),
            captureId,
          };
          const decoded = hep.decapsulate(encodeHep(packet, 3));
          assert.ok(decoded);
          const { rcinfo } = decoded;
          assert.deepEqual(
            [
              rcinfo['srcIp'],
              rcinfo['srcPort'],
              rcinfo['dstIp'],
              rcinfo['dstPort'],
              rcinfo['correlation_id'],
              rcinfo['captureId'],
              rcinfo['payloadType'],
              rcinfo['protocol'],
            ],
            [from, fromPort, to, toPort, String(id), captureId, 0x59, 6],
          );
          assert.equal(decoded.payload, payload);
          assert.equal((rcinfo['timeSeconds'] as number) * 1e6 + (rcinfo['timeUseconds'] as number), PACKET.timeUs);
        },
      ),
    );
  });

  it('a payload that no packet can hold is cut (D-66)', () => {
    for (const version of [1, 2, 3] as const) {
      const packet = encodeHep({ ...PACKET, payload: Buffer.alloc(100_000, 'x') }, version);
      assert.ok(packet.length < 65_536);
      if (version === 3) assert.equal(packet.readUInt16BE(4), packet.length);
      assert.equal(packet.toString('latin1').replaceAll(/[^x]/g, '').length, MAX_PAYLOAD);
    }
  });
});

describe('hep_id (H-029)', () => {
  it('host, port, version, transport', () => {
    const of = (text: string): unknown => parseHepId(text);
    assert.deepEqual(of('10.0.0.2'), { host: '10.0.0.2', port: 9060, version: 3, transport: 'tcp', fellBack: false });
    assert.deepEqual(of('homer.example:9061; transport=udp ;version=2'), {
      host: 'homer.example',
      port: 9061,
      version: 2,
      transport: 'udp',
      fellBack: false,
    });
    assert.deepEqual(of('[2001:db8::1]:1;transport=tls'), {
      host: '2001:db8::1',
      port: 1,
      version: 3,
      transport: 'tls',
      fellBack: false,
    });
    assert.deepEqual(of('h;version=1;transport=tcp'), {
      host: 'h',
      port: 9060,
      version: 1,
      transport: 'udp',
      fellBack: true,
    });
    for (const text of [
      '',
      ':9060',
      'h:0',
      'h:65536',
      'h:x',
      'h;version=4',
      'h;transport=sctp',
      'h;x=1',
      'h;version',
      '[x]',
      '2001:db8::1',
      'a b',
    ])
      assert.equal(typeof of(text), 'string', text);
  });
});
