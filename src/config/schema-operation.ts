import { count, flag, group, list, text } from './schema-node.ts';
import type { SchemaNode } from './schema-node.ts';

/** Keys for operators: tracing, the control interface, metrics. */

const RULE: SchemaNode = {
  type: 'object',
  required: ['action'],
  additionalProperties: false,
  properties: {
    action: { enum: ['trace', 'drop'], description: '`trace` or `drop`.' },
    peer: text('Address or CIDR block of the peer.'),
    port: { type: 'integer', minimum: 0, maximum: 65535, description: 'Port of the peer.' },
    listener: text('Listener, as written under `listeners`.'),
    direction: { enum: ['in', 'out'], description: '`in`: accepted, `out`: made by this relay.' },
    user: text('User of a session on the connection.'),
    tls_name: text(
      'Name that the peer has asked for (SNI) or shown in its certificate; `*.example.com` is any one label.',
    ),
  },
};

/** Under `msrp`, where proto_msrp has them. */
export const TRACE_KEYS: Readonly<Record<string, SchemaNode>> = {
  trace_destination: text('Name under `hep.hep_id` that connections are traced to.', {
    opensips: 'proto_msrp trace_destination',
  }),
  trace_on: flag(false, 'Trace from the start; `msrpd trace on` switches.', { opensips: 'proto_msrp trace_on' }),
  trace_filter_route: list(
    'Which connections are traced: the first rule that fits decides; without one, a connection is traced.',
    RULE,
    { opensips: 'proto_msrp trace_filter_route' },
  ),
  trace_frames: {
    enum: ['none', 'headers', 'bodies'],
    default: 'none',
    description:
      'Frames of traced connections, too: `headers` without bodies, `bodies` with as much as `trace_body_bytes`. Secrets are left out.',
  },
  trace_body_bytes: count(1024, 'bytes', 'Most of a body that a traced frame carries.', { maximum: 32_768 }),
};

export const HEP: SchemaNode = group('Tracing over HEP.', {
  hep_id: {
    type: 'object',
    description:
      'Collectors by name: `HOST[:PORT][;version=1|2|3][;transport=udp|tcp|tls]`; port 9060, version 3, tcp.',
    default: {},
    opensips: 'proto_hep hep_id',
    additionalProperties: text('A collector.'),
  },
  hep_capture_id: count(1, 'number', 'Capture agent id.', {
    maximum: 2 ** 32 - 1,
    opensips: 'proto_hep hep_capture_id',
  }),
  homer5_on: flag(false, 'Values joined by `homer5_delim` instead of JSON (OpenSIPS: on).', {
    opensips: 'proto_hep homer5_on',
  }),
  homer5_delim: text('What joins them.', { default: ':', opensips: 'proto_hep homer5_delim' }),
  opensips_proto_numbers: flag(
    false,
    'IP protocol 22 for TLS and 50 for WebSockets in events of connections, as OpenSIPS writes; else 6, which it is.',
  ),
  opensips_address_order: flag(false, 'The remote side as source, also of connections that this relay makes.'),
  queue_bytes: count(1_048_576, 'bytes', 'Packets that wait for the collector; the oldest are dropped above.', {
    minimum: 65_536,
  }),
  ca_list: text('PEM file: trusted CAs of collectors over TLS. Without it, those of the system.'),
  verify_cert: flag(true, 'Refuse a collector whose certificate does not verify.'),
});

export const CONTROL: SchemaNode = group('The control interface (docs/control.md).', {
  listen: text('`http:HOST:PORT`. Without it, there is none. Beyond loopback only with a `token_file`.'),
  token_file: text('File with the token that callers have to show: 16 characters or more.'),
});

export const METRICS: SchemaNode = group('Metrics for Prometheus, on the control interface.', {
  path: text('Path.', { default: '/metrics', pattern: '^/[a-z][a-z0-9_/-]*$' }),
});
