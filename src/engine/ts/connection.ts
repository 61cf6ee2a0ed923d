import type { HandshakeFailure, ConnectionId, ListenerId, SocketAddress, TlsInfo } from '../engine.ts';
import type { Framer } from '../../frame/framer.ts';
import { Outbox } from './outbox.ts';
import type { Route } from './route.ts';
import type { SendStream } from './send-stream.ts';
import type { Session } from './session.ts';
import type { Tap } from './tap.ts';
import { TransactionList } from './transaction.ts';
import type { Transport } from './transport.ts';

/**
 * `asking`: a next hop that the control plane has not decided about; `connecting`: being dialled; both collect what is to be
 * sent. `open` carries traffic. `closing`: the last bytes go out. `closed`: gone.
 */
export type ConnectionState = 'asking' | 'connecting' | 'open' | 'closing' | 'closed';

/** One transport connection (or one to be) with all that belongs to it. No behaviour: the stages of the engine work on it. */
export class Connection {
  readonly id: ConnectionId;
  readonly direction: 'in' | 'out';
  /** A decoder: its records are complete. */
  readonly framer: Framer;
  readonly outbox = new Outbox();
  listener: ListenerId | undefined;
  state: ConnectionState;
  transport: Transport | undefined;
  /** Most octets of a body in one SEND to it. */
  chunkOctets = Infinity;
  /** The peer has ended its side. */
  ended = false;
  remote: SocketAddress;
  local: SocketAddress = NOWHERE;
  tls: TlsInfo | undefined;
  /** Sees its frames go by, while they are traced. */
  tap: Tap | undefined;
  /** Of a dial: why the last handshake came to nothing, and the TLS domain that it was made with. */
  failedHandshake: { readonly failure: HandshakeFailure; readonly domain: string | undefined } | undefined;
  /** Host of the relay that this connection stands for, proven by its certificate. */
  relay: string | undefined;
  /** Key under which outgoing connections are shared. */
  poolKey: string | undefined;

  /** Incoming bytes that are not done with: an incomplete header section, or what may begin an end-line. */
  rest: Buffer = NOTHING;
  restLength = 0;
  /** Reads since the header section at hand began (`max_msg_chunks`). */
  reads = 0;
  /** The SEND that this connection is in the middle of sending us. */
  incoming: SendStream | undefined;
  /** The stream whose chunk is open on the way out: it is interrupted before anything else is written. */
  outgoing: SendStream | undefined;

  /** Route of the last request that was routed, for the next with the same paths. */
  lastRoute: Route | undefined;
  /** Routes by the bytes of their paths. */
  readonly routes = new Map<string, Route>();
  /** First To-Path URI of the last response. */
  lastResponseTo = '';

  /** Sessions whose client is behind this connection. */
  readonly sessions = new Set<Session>();
  /** Requests that it owes an answer to, and SENDs that it only answers to refuse (Failure-Report `partial`). */
  readonly awaited = new TransactionList();
  readonly unanswered = new TransactionList();
  /** Requests with the control plane that are not answered yet. */
  requests = 0;

  /** Connections that are not read from because this one is full. */
  readonly waiters = new Set<Connection>();
  /** Full connections (and other causes) that keep this one from being read. */
  pauses = 0;
  /** Since when the outbox has been above its high-water mark; −1: it is not. */
  fullSinceMs = -1;
  /** Sources wait for it because of the answers that it owes. */
  owesTooMany = false;
  /** Full for so long that what is meant for it fails, so that its sources can serve others (relay R-085). */
  shedding = false;

  dirty = false;
  writing = false;
  /** Of the write under way: bytes, and when the kernel last took some of them. */
  writeBytes = 0;
  writeLeft = 0;
  writeProgressMs = 0;
  /** The connection that has taken over what was queued here, when a next hop turned out to be connected already. */
  movedTo: Connection | undefined;

  openedAtMs: number;
  lastActiveMs: number;
  /** No request has succeeded yet (relay R-041). */
  probation: boolean;
  misdirected = 0;
  misdirectedSinceMs = 0;
  bytesIn = 0;
  bytesOut = 0;

  constructor(init: {
    id: ConnectionId;
    direction: 'in' | 'out';
    state: ConnectionState;
    remote: SocketAddress;
    framer: Framer;
    nowMs: number;
  }) {
    this.id = init.id;
    this.direction = init.direction;
    this.state = init.state;
    this.remote = init.remote;
    this.framer = init.framer;
    this.openedAtMs = this.lastActiveMs = init.nowMs;
    this.probation = init.direction === 'in';
  }

  /** Bytes ever queued: what the kernel has, and what waits. */
  get queuedTotal(): number {
    return this.bytesOut + this.outbox.bytes;
  }

  /** True while what is queued for it has a chance to go out. */
  get usable(): boolean {
    return this.state === 'open' || this.state === 'asking' || this.state === 'connecting';
  }
}

const NOWHERE: SocketAddress = { address: '', port: 0 };
const NOTHING = Buffer.alloc(0);
