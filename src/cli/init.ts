import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { developmentFiles } from '../tls/development.ts';
import { DEFAULT_CONFIG } from './check.ts';
import { CliError } from './exit.ts';

/** `msrpd init`: a configuration to begin with. */
export function register(program: Command): void {
  program
    .command('init')
    .description('write a commented configuration, and a CA and a certificate to begin with')
    .argument('[file]', 'where to; - is standard output', DEFAULT_CONFIG)
    .option('-f, --force', 'replace a file that is there')
    .option('--certificate', 'only the CA and the certificate, where they are missing or end soon')
    .action(async (file: string, options: { force?: true; certificate?: true }) => {
      if (options.certificate === true) {
        const { renewed, certificate: path, ca } = await certificate(join(dirname(file), TLS_FOLDER));
        process.stdout.write(renewed ? `wrote ${path}; ${trust(ca)}\n` : `${path} is good for some time\n`);
        return;
      }
      if (file === '-') {
        process.stdout.write(TEMPLATE);
        return;
      }
      try {
        writeFileSync(file, TEMPLATE, { flag: options.force === true ? 'w' : 'wx' });
      } catch (error) {
        const exists = (error as { code?: string }).code === 'EEXIST';
        throw new CliError(
          exists ? `${file} is there already; --force replaces it` : `cannot write ${file}: ${String(error)}`,
        );
      }
      const { ca } = await certificate(join(dirname(file), TLS_FOLDER));
      process.stdout.write(`wrote ${file}; next: edit it, then msrpd check -c ${file} and msrpd serve -c ${file}\n`);
      process.stdout.write(`${trust(ca)} (a development CA: ask a public one for names of the Internet)\n`);
    });
}

/** Beside the configuration. */
const TLS_FOLDER = 'msrpd-tls';

function trust(ca: string): string {
  return `clients trust it with --ca ${ca}`;
}

async function certificate(folder: string): ReturnType<typeof developmentFiles> {
  try {
    return await developmentFiles(folder, ['localhost', '127.0.0.1', '::1'], Date.now());
  } catch (error) {
    throw new CliError(`cannot write the certificate into ${folder}: ${String(error)}`);
  }
}

/** Values that work on real networks; where they differ from those of OpenSIPS, a comment says why. */
const TEMPLATE = `# Configuration of msrpd. Every key: docs/configuration.md. Check it with: msrpd check

# auto takes the native engine where it loads, else the TypeScript one. MSRPD_ENGINE overrides.
engine: auto

# Where to listen: msrp:HOST[:PORT] without, msrps:HOST[:PORT] with TLS; port 2855 where none is given.
listeners:
  - msrp:127.0.0.1:2855
  - uri: msrps:127.0.0.1:2856
    advertise: localhost:2856
  # Clients of the Internet need TLS and a name that leads here:
  # - uri: msrps:[::]:2855
  #   advertise: relay.example.com:2855
  #   tls_domain: default

msrp:
  # OpenSIPS closes a connection that takes nothing for 100 ms. Mobile networks pause for seconds.
  send_timeout: 30000          # ms
  # OpenSIPS gives a message 4 reads. Some peers write a header section line by line; its size is limited anyway.
  max_msg_chunks: 0

relay:
  # auth_realm: relay.example.com      # default: the host that the client has addressed
  auth_expires: 1800           # s
  auth_min_expires: 60
  auth_max_expires: 3600
  nonce_expire: 30
  # AUTH without TLS, and URIs with an address instead of a name: for tests on this machine only.
  allow_plain_auth: true
  allow_ip_use_path: true
  # Where sessions may be connected to. Private and local networks only when they are listed.
  next_hops:
    allow: [127.0.0.0/8]
    deny: []
  # users:
  #   file: users.txt          # lines user:realm:password or user:realm:HA1

limits:                        # 0 is no limit
  max_connections: 10000
  max_connections_per_ip: 0
  max_sessions_per_user: 100
  message_bytes: 0
  outbox_bytes: 262144
  probation_s: 30
  idle_s: 3600

tls:
  domains:
    # Made by msrpd init, for localhost. The CA is trusted for next hops, and for relays that connect to this one.
    default:
      certificate: msrpd-tls/cert.pem
      private_key: msrpd-tls/key.pem
      ca_list: msrpd-tls/ca.pem
    # Others are chosen by the name that a client asks for, or by the next hop: docs/tls.md
    # chat:
    #   match_sip_domain: chat.example.com
    #   certificate: [chat-ecdsa.pem, chat-rsa.pem]
    #   private_key: [chat-ecdsa-key.pem, chat-rsa-key.pem]

# Status page, control methods (msrpd ctl) and metrics. Beyond loopback only with a token_file: docs/control.md
control:
  listen: http:127.0.0.1:8055

# Tracing to Homer, switched by msrpd trace on: docs/tracing.md
# hep:
#   hep_id: {homer: "10.0.0.2:9060;transport=tcp;version=3"}   # and under msrp: trace_destination: homer

log:
  level: info
  destination: stdout

# hooks: ./policy.mjs          # exports any of authenticate, authorize, nextHop, selectSocket, traceFilter
`;
