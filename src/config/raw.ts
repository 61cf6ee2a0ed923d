/** A configuration as the schema has passed it: names of the file, defaults filled in. */
export interface RawConfig {
  engine: 'auto' | 'native' | 'ts';
  workers: 'auto' | number;
  listeners: (string | { uri: string; advertise?: string; tls_domain?: string })[];
  msrp: {
    send_timeout: number;
    max_msg_chunks: number;
    tls_handshake_timeout: number;
    cert_check_on_conn_reusage: boolean;
    connect_timeout: number;
    transaction_timeout: number;
    trace_destination?: string;
    trace_on: boolean;
    trace_filter_route: RawTraceRule[];
    trace_frames: 'none' | 'headers' | 'bodies';
    trace_body_bytes: number;
  };
  relay: {
    auth_realm?: string;
    auth_expires: number;
    auth_min_expires: number;
    auth_max_expires: number;
    nonce_expire: number;
    cleanup_interval: number;
    my_uri: string[];
    allow_plain_auth: boolean;
    allow_ip_use_path: boolean;
    exclusive_peer: boolean;
    next_hops: { allow: string[]; deny: string[] };
    users: { file?: string; hook?: string };
  };
  limits: {
    max_connections: number;
    max_connections_per_ip: number;
    max_handshakes: number;
    max_sessions_per_user: number;
    max_sessions_per_connection: number;
    header_bytes: number;
    header_lines: number;
    line_bytes: number;
    path_uris: number;
    non_send_body_bytes: number;
    message_bytes: number;
    outbox_bytes: number;
    transactions_per_connection: number;
    probation_s: number;
    idle_s: number;
    auth_failures: number;
    drain_s: number;
  };
  tls: { domains: Record<string, RawTlsDomain> };
  hep: {
    hep_id: Record<string, string>;
    hep_capture_id: number;
    homer5_on: boolean;
    homer5_delim: string;
    opensips_proto_numbers: boolean;
    opensips_address_order: boolean;
    queue_bytes: number;
    ca_list?: string;
    verify_cert: boolean;
  };
  control: { listen?: string; token_file?: string };
  metrics: { path: string };
  log: { level: string; destination: string };
  hooks?: string;
}

interface RawTraceRule {
  action: 'trace' | 'drop';
  peer?: string;
  port?: number;
  listener?: string;
  direction?: 'in' | 'out';
  user?: string;
  tls_name?: string;
}

export interface RawTlsDomain {
  type?: 'server' | 'client' | 'both';
  match_ip_address?: string;
  match_sip_domain?: string;
  certificate?: string | string[];
  private_key?: string | string[];
  ca_list?: string;
  ca_dir?: string;
  crl_dir?: string;
  crl_check_all?: boolean;
  verify_cert?: boolean;
  require_cert?: boolean;
  tls_method?: string;
  ciphers_list?: string;
  ec_curve?: string;
}
