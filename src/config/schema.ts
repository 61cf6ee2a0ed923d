/**
 * The configuration as a JSON Schema: every key with its meaning, unit, range, default, and the parameter of OpenSIPS that it
 * is named after. The published file, the documentation and the validation come from here.
 */

import { TRACE_KEYS, CONTROL, HEP, METRICS } from './schema-operation.ts';
import { count, files, flag, group, limit, list, text } from './schema-node.ts';
import type { SchemaNode } from './schema-node.ts';

const TLS_DOMAIN: SchemaNode = {
  type: 'object',
  description: 'A TLS domain: which connections it is for, its certificate, trust and versions.',
  additionalProperties: false,
  properties: {
    type: {
      enum: ['server', 'client', 'both'],
      default: 'both',
      description: 'For connections that come in, that go out, or both.',
      opensips: 'tls_mgm server_domain, client_domain',
    },
    match_ip_address: text('`ADDRESS:PORT` of listeners (of next hops, for a client), separated by commas; `*`: any.', {
      default: '*',
      opensips: 'tls_mgm match_ip_address',
    }),
    match_sip_domain: text(
      'Names that clients ask for (SNI), or hosts of next hops, separated by commas: exact, `*.example.com` (one label), `*`, `none`.',
      { default: '*', opensips: 'tls_mgm match_sip_domain' },
    ),
    certificate: files('PEM file: certificate, and the chain behind it; or a list, one RSA and one ECDSA.', {
      opensips: 'tls_mgm certificate',
    }),
    private_key: files('PEM file: private key; or a list in the order of `certificate`.', {
      opensips: 'tls_mgm private_key',
    }),
    ca_list: text('PEM file: trusted CAs. Without it, those of the system.', { opensips: 'tls_mgm ca_list' }),
    ca_dir: text('Folder of PEM files: trusted CAs, besides `ca_list`.', { opensips: 'tls_mgm ca_dir' }),
    crl_dir: text('Folder of PEM files: revocation lists.', { opensips: 'tls_mgm crl_dir' }),
    crl_check_all: flag(true, 'Check the whole chain against `crl_dir`; there is nothing less.', {
      opensips: 'tls_mgm crl_check_all',
    }),
    verify_cert: flag(true, 'Refuse a peer whose certificate does not verify.', { opensips: 'tls_mgm verify_cert' }),
    require_cert: flag(false, 'Refuse a client that shows no certificate.', { opensips: 'tls_mgm require_cert' }),
    tls_method: text('Versions: `TLSv1_2`, `TLSv1_3`, or a range such as `TLSv1_2-TLSv1_3`.', {
      default: 'TLSv1_2-TLSv1_3',
      opensips: 'tls_mgm tls_method',
    }),
    ciphers_list: text('Cipher suites by their names in OpenSSL, in order, separated by colons.', {
      opensips: 'tls_mgm ciphers_list',
    }),
    ec_curve: text('Groups for key exchange, in order, separated by colons: `X25519`, `P-256`, `P-384`.', {
      opensips: 'tls_mgm ec_curve',
    }),
  },
};

/** JSON Schema (draft 7) of a configuration file. */
export const configSchema: SchemaNode = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'msrpd configuration',
  type: 'object',
  additionalProperties: false,
  required: ['listeners'],
  properties: {
    engine: {
      enum: ['auto', 'native', 'ts'],
      default: 'auto',
      description:
        '`native`: native code or no start; `ts`: TypeScript only; `auto`: native code where it loads. MSRPD_ENGINE overrides it for `msrpd serve`.',
    },
    workers: {
      type: ['integer', 'string'],
      pattern: '^auto$',
      minimum: 1,
      maximum: 62,
      default: 'auto',
      description: 'Threads of the native engine, 1 to 62; `auto` is one for each core. The TypeScript engine has one.',
    },
    listeners: {
      type: 'array',
      minItems: 1,
      description:
        'Sockets to listen on, as in `socket=`: `msrp:HOST[:PORT]` or `msrps:HOST[:PORT]`, port 2855 by default; `ws:` (80) or `wss:` (443) for WebSocket clients; or an object.',
      items: {
        type: ['string', 'object'],
        required: ['uri'],
        additionalProperties: false,
        properties: {
          uri: text('`msrp:HOST[:PORT]`, or `msrps`, `ws`, `wss` instead of `msrp`.', { opensips: 'socket' }),
          advertise: text(
            'Host and port that Use-Path carries, `relay.example.com:2855`; of a WebSocket listener: those that its clients address. Default: those of `uri`.',
          ),
          tls_domain: text(
            'TLS domain of an msrps or wss listener for clients that ask for no name, or for one that no domain has. Default: the domain that matches its address, or `default`.',
          ),
          path: text('Path that WebSocket clients ask for.', { default: '/', pattern: '^/[^?#]*$' }),
          origins: list(
            'Origins whose pages may connect by WebSocket, `https://chat.example.com`, or `*`. Empty: any; with hook `websocket`: only that of the relay itself.',
            text('An origin.'),
          ),
        },
      },
    },
    websocket: group('WebSocket listeners (RFC 7977).', {
      implementation: {
        enum: ['auto', 'uws', 'ws'],
        default: 'auto',
        description:
          '`uws`: uWebSockets.js; `ws`: the package ws; `auto`: the first where it loads and can do what the TLS domain asks for.',
      },
      max_message_bytes: count(
        1048576,
        'bytes',
        'Longest message, that is frame, of a client, 4096 to 67108864; 1009 above.',
        {
          minimum: 4096,
          maximum: 67108864,
        },
      ),
      messages_per_s: limit(0, 'messages/s', 'Messages of one client in a second, and as many at once; 1008 above.'),
      backlog_bytes: count(
        1048576,
        'bytes',
        'What a client may send beyond what its receivers take, where it cannot be stopped (uWebSockets.js); 1013 above.',
      ),
      chunk_bytes: count(16384, 'bytes', 'Longest body of a SEND to a client, 2048 to 65536; longer ones are cut.', {
        minimum: 2048,
        maximum: 65536,
      }),
      ping_interval: count(
        30,
        's',
        'How often clients are pinged; two pings without an answer end a connection. 0: never.',
      ),
      trusted_proxies: list(
        'Addresses and CIDR blocks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.',
        text('An address or block.'),
      ),
    }),
    msrp: group('Connections.', {
      send_timeout: limit(
        100,
        'ms',
        'How long a connection may take nothing while data waits for it; then it is closed.',
        {
          opensips: 'proto_msrp send_timeout',
        },
      ),
      max_msg_chunks: limit(
        4,
        'reads',
        'Reads in which a header section (or a frame that is not streamed) must be complete.',
        {
          opensips: 'proto_msrp max_msg_chunks',
        },
      ),
      // Not the 100 ms of OpenSIPS: a handshake takes one or two round trips, and a client far away would never get in.
      tls_handshake_timeout: limit(5000, 'ms', 'Time of a TLS handshake, accepted or dialled.', {
        opensips: 'proto_msrp tls_handshake_timeout',
      }),
      cert_check_on_conn_reusage: flag(
        false,
        'Use an open TLS connection to a next hop again only while the TLS domain has the certificate that it was made with.',
        { opensips: 'proto_msrp cert_check_on_conn_reusage' },
      ),
      connect_timeout: count(5000, 'ms', 'Time for each address of a next hop, TLS handshake included.', {
        minimum: 1,
      }),
      transaction_timeout: count(30, 's', 'Time that a next hop has for its response (RFC 4975 section 7.1.1).', {
        minimum: 1,
      }),
      ...TRACE_KEYS,
    }),
    relay: group('The relay of RFC 4976.', {
      auth_realm: text('Realm of the challenge. Default: the host of the To-Path URI.', {
        opensips: 'msrp_relay auth_realm',
      }),
      auth_expires: count(1800, 's', 'Lifetime of a session whose client asks for none.', {
        minimum: 1,
        opensips: 'msrp_relay auth_expires',
      }),
      auth_min_expires: count(60, 's', 'Shortest lifetime that a client may ask for; 423 below.', {
        opensips: 'msrp_relay auth_min_expires',
      }),
      auth_max_expires: count(3600, 's', 'Longest lifetime that a client may ask for; 423 above.', {
        minimum: 1,
        opensips: 'msrp_relay auth_max_expires',
      }),
      nonce_expire: count(30, 's', 'Lifetime of a nonce.', { minimum: 1, opensips: 'msrp_relay nonce_expire' }),
      cleanup_interval: count(60, 's', 'How often used nonces that are over are forgotten. Sessions end without it.', {
        minimum: 1,
        opensips: 'msrp_relay cleanup_interval',
      }),
      my_uri: list('Further names of this relay: hosts, `host:port`, or whole MSRP URIs.', text('A name.'), {
        opensips: 'msrp_relay my_uri',
      }),
      allow_plain_auth: flag(false, 'Serve AUTH, and relays as next hops, without TLS. For tests.'),
      allow_ip_use_path: flag(
        false,
        'Hand out URIs with an IP address as host. For tests (RFC 4976 section 4.2 asks for a name).',
      ),
      exclusive_peer: flag(
        true,
        'Refuse a second connection towards the same client with 506 while the first one lives.',
      ),
      next_hops: group('Where the relay may connect to. Private and local networks only when they are listed.', {
        allow: list(
          'CIDR blocks, addresses, host names and patterns (`*.example.com`: any number of labels; `*`: every host) that are allowed.',
          text('A pattern.'),
        ),
        deny: list('The same, refused; stronger than `allow`.', text('A pattern.')),
      }),
      users: group('Who may open sessions.', {
        file: text('File with lines `user:realm:password` or `user:realm:HA1`.'),
        hook: text('Module that exports `authenticate`, instead of a file.'),
      }),
    }),
    limits: group('Limits. Each has a counter, and a close reason or status of its own.', {
      max_connections: limit(0, 'connections', 'Connections in all.'),
      max_connections_per_ip: limit(0, 'connections', 'Accepted connections from one address.'),
      max_handshakes: limit(4096, 'handshakes', 'TLS handshakes in progress; a connection above is closed.'),
      max_sessions_per_user: limit(0, 'sessions', 'Sessions of one user; 403 above.'),
      max_sessions_per_connection: limit(10000, 'sessions', 'Sessions of one connection; 403 above.'),
      header_bytes: limit(65536, 'bytes', 'Header section of a frame.'),
      header_lines: limit(64, 'lines', 'Header lines of a frame.'),
      line_bytes: limit(8192, 'bytes', 'One header line.'),
      path_uris: limit(16, 'URIs', 'URIs in one path; 400 above.'),
      non_send_body_bytes: limit(10240, 'bytes', 'Body of anything but SEND.'),
      message_bytes: limit(0, 'bytes', 'A whole message; 413 above.', { maximum: Number.MAX_SAFE_INTEGER }),
      outbox_bytes: limit(
        262144,
        'bytes',
        'Bytes queued for one connection, 4096 or more; reading of its sources stops above.',
      ),
      transactions_per_connection: limit(
        16384,
        'transactions',
        'Requests that one connection may owe an answer to; reading of its sources stops above (at twice as many, of those that owe many themselves).',
      ),
      probation_s: limit(30, 's', 'Time that a new connection has for its first successful request.'),
      idle_s: limit(3600, 's', 'Time without traffic after which a connection is closed.'),
      auth_failures: limit(3, 'failures', 'Failed AUTHs of one client after which its connection is closed.'),
      drain_s: count(10, 's', 'Time that what is under way has to finish on SIGTERM.'),
    }),
    tls: group('TLS.', {
      domains: {
        type: 'object',
        description: 'TLS domains by name.',
        default: {},
        additionalProperties: false,
        patternProperties: { '^[A-Za-z0-9_.-]+$': TLS_DOMAIN },
      },
    }),
    hep: HEP,
    control: CONTROL,
    metrics: METRICS,
    log: group('Log.', {
      level: {
        enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
        default: 'info',
        description: 'Lowest level that is written.',
      },
      destination: text(
        '`stdout`, `stderr`, or a file, which is opened again on SIGHUP; another one takes a restart.',
        { default: 'stdout' },
      ),
    }),
    hooks: text(
      'Module that exports any of `authenticate`, `authorize`, `nextHop`, `selectSocket`, `traceFilter`, `websocket`.',
    ),
  },
};
