import { MsrpError } from '../errors.ts';
import { isSeconds } from '../syntax/header-value.ts';
import { hostText, parseUri, sameUriText } from '../syntax/uri.ts';
import type { MsrpUri } from '../syntax/uri.ts';
import { authenticate } from './authenticate.ts';
import type { AuthGrant, AuthRequest } from './authenticate.ts';
import { EndpointSession } from './endpoint-session.ts';
import { MAX_TIMER_MS, makeIdent } from './environment.ts';
import { PLATFORM } from './platform.ts';
import type { EndpointEnvironment } from './environment.ts';
import { openTransport } from './open-transport.ts';
import { PeerConnection } from './peer-connection.ts';
import type { ReceiverOptions } from './receiver.ts';
import type { ClientTls } from './transport.ts';

/** How to connect: through relays, or straight to a peer. */
export interface ClientOptions extends ReceiverOptions {
  /**
   * URIs of own relays, the nearest first: `msrps://relay.example.com:2855;tcp`, or with `;ws` for one that is reached by WebSocket. The client authenticates to each, to those
   * further away through the nearer ones (relay R-013).
   */
  readonly relay?: string | readonly string[];
  /** Without a relay: the peer's URI to connect to. */
  readonly peer?: string;
  /** Both may be missing where a cookie or the like says who connects by WebSocket (RFC 7977 section 5.3.1). */
  readonly user?: string;
  readonly password?: string;
  /** The realm to give the password to. Default: whichever the relay names (relay R-028). */
  readonly realm?: string;
  /** Lifetime of the session to ask for, in whole seconds. */
  readonly expiresS?: number;
  /** Refuse a relay that does not prove that it knows the password (D-33). Default true. */
  readonly requireRspauth?: boolean;
  readonly tls?: ClientTls;
  /** Path and query of the URL of a relay with `;ws`. Default `/`. */
  readonly webSocketPath?: string;
  /** Own URI. Default: the local address of the connection and a random session-id. */
  readonly uri?: string;
  /** Ends connecting and authenticating with `E_ABORTED`. */
  readonly signal?: AbortSignal;
  /** For the connection, and for each answer to an AUTH. Default 10000 ms. */
  readonly timeoutMs?: number;
  readonly environment?: EndpointEnvironment;
}

/**
 * An MSRP endpoint: one session over one connection (RFC 4975), with relays of its own where it has some (RFC 4976).
 *
 * ```ts
 * await using client = await MsrpClient.connect({ relay: 'msrps://relay.example.com:2855;tcp', user, password });
 * client.on('message', (message) => …);          // the peer sends to client.path
 * await client.send({ to: peerPath, contentType: 'text/plain', body: 'Hello' });
 * ```
 */
export class MsrpClient extends EndpointSession {
  /** The relays' URIs in To-Path order (relay R-014). */
  readonly usePath: readonly string[];
  /** Path to offer to the peer in SDP: own relays, outermost first, then the own URI. */
  readonly path: readonly string[];
  readonly #relays: readonly RelayGrant[];
  readonly #auth: Omit<AuthRequest, 'toPath'> | undefined;
  /** Cancels the refresh of each relay. */
  readonly #cancels = new Map<RelayGrant, () => void>();
  /** One AUTH at a time (relay R-003). */
  #authTurn: Promise<unknown> = Promise.resolve();

  /** Connects and authenticates. Rejects with `E_CONNECT`, `E_AUTH`, `E_TIMEOUT` or `E_ARGUMENT`. */
  static async connect(options: ClientOptions): Promise<MsrpClient> {
    const environment = options.environment ?? PLATFORM;
    const relays = options.relay === undefined ? [] : [options.relay].flat();
    const first = relays[0] ?? options.peer;
    if (first === undefined) throw new MsrpError('E_ARGUMENT', 'neither relay nor peer is given');
    const target = parseUri(first);
    const isWebSocket = target?.transport === 'ws';
    const given = [options.user, options.password].filter((value) => value !== undefined).length;
    if (relays.length > 0 && given < 2 && (given > 0 || !isWebSocket)) {
      throw new MsrpError('E_ARGUMENT', 'a relay needs user and password');
    }
    checkOptions(options, relays);
    if (target === undefined) throw new MsrpError('E_ARGUMENT', `${first} is no MSRP URI`);
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const { tls, signal, webSocketPath } = options;
    const transport = await openTransport(target, environment, {
      timeoutMs,
      ...(tls === undefined ? {} : { tls }),
      ...(signal === undefined ? {} : { signal }),
      ...(webSocketPath === undefined ? {} : { webSocketPath }),
    });
    const connection = new PeerConnection(transport, environment);
    const abort = (): void => connection.destroy(new MsrpError('E_ABORTED'));
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      const uri = options.uri ?? ownUri(target, connection.localAddress, environment);
      const auth: Omit<AuthRequest, 'toPath'> = {
        uri,
        user: options.user ?? '',
        password: options.password,
        realm: options.realm,
        expiresS: options.expiresS,
        requireRspauth: options.requireRspauth ?? true,
        timeoutMs,
      };
      const grants: RelayGrant[] = [];
      let usePath: readonly string[] = [];
      for (const relay of relays) {
        const grant = await authenticate(connection, environment, { ...auth, toPath: [...usePath, relay] });
        if (grant.usePath.length !== usePath.length + 1)
          throw new MsrpError('E_AUTH', 'the relay has sent a wrong Use-Path');
        usePath = grant.usePath;
        grants.push({ toPath: usePath, expiresS: grant.expiresS });
      }
      return new MsrpClient(
        connection,
        environment,
        uri,
        options,
        usePath,
        grants,
        relays.length > 0 ? auth : undefined,
      );
    } catch (error) {
      connection.destroy();
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', abort);
    }
  }

  private constructor(
    connection: PeerConnection,
    environment: EndpointEnvironment,
    uri: string,
    options: ClientOptions,
    usePath: readonly string[],
    relays: readonly RelayGrant[],
    auth: Omit<AuthRequest, 'toPath'> | undefined,
  ) {
    super(connection, environment, uri, options);
    this.usePath = usePath;
    this.path = [...usePath.toReversed(), uri];
    this.#relays = relays;
    this.#auth = auth;
    connection.handler = this.handler();
    for (const relay of this.#relays) this.#refreshLater(relay, relay.expiresS);
  }

  /** Gives the session back to its relays (`Expires: 0`) and closes the connection. */
  async release(): Promise<void> {
    this.onClosed();
    for (const { toPath } of this.#relays.toReversed()) {
      if (this.closed || this.#auth === undefined) break;
      await this.#inAuthTurn({ ...this.#auth, toPath, expiresS: 0 }).catch(() => undefined);
    }
    await this.close();
  }

  protected override toPath(to: string | readonly string[]): readonly string[] {
    return [...this.usePath, ...super.toPath(to)];
  }

  protected override onClosed(): void {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }

  /** Each relay has its own lifetime: refreshed well before it ends (D-31). */
  #refreshLater(relay: RelayGrant, expiresS: number): void {
    if (expiresS <= 0) return;
    const delayMs = Math.min(Math.max(expiresS - 30, expiresS * 0.8) * 1000, MAX_TIMER_MS);
    this.#cancels.set(
      relay,
      this.environment.setTimer(delayMs, () => void this.#refresh(relay)),
    );
  }

  async #refresh(relay: RelayGrant): Promise<void> {
    if (this.#auth === undefined || this.closed) return;
    try {
      const { expiresS, usePath } = await this.#inAuthTurn({ ...this.#auth, toPath: relay.toPath });
      // Not every relay extends a session: one that hands out another lets this one end.
      if (!sameUriText(usePath.at(-1) ?? '', relay.toPath.at(-1) as string))
        throw new MsrpError('E_AUTH', 'the relay has given another URI');
      this.#refreshLater(relay, expiresS);
      this.tell(() => this.emit('refreshed', expiresS));
    } catch (error) {
      if (this.closed) return;
      const reason = error instanceof MsrpError ? error : new MsrpError('E_AUTH', String(error));
      this.tell(() => this.emit('expired', reason));
    }
  }

  /** AUTH is never sent before the one before it is answered (relay R-003). */
  #inAuthTurn(request: AuthRequest): Promise<AuthGrant> {
    const grant = this.#authTurn.then(() => authenticate(this.connection, this.environment, request));
    this.#authTurn = grant.catch(() => undefined);
    return grant;
  }
}

/** A session at one relay; To-Path of the AUTH that refreshes it ends in its own URI (D-41). */
interface RelayGrant {
  readonly toPath: readonly string[];
  readonly expiresS: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** A client that does not know its address has a random name under `.invalid` (RFC 7977 section 5.2.1). */
function ownUri(
  { scheme, transport }: MsrpUri,
  local: { readonly address: string; readonly port: number } | undefined,
  environment: EndpointEnvironment,
): string {
  const label = new Uint8Array(8);
  environment.random(label);
  const { address = `${Buffer.from(label).toString('hex')}.invalid`, port = 2855 } = local ?? {};
  return `${scheme}://${hostText(address)}:${port}/${makeIdent(environment)};${transport}`;
}

/** Nothing that the caller gives may end a header line and begin another. */
function checkOptions({ uri, user = '', expiresS = 0 }: ClientOptions, relays: readonly string[]): void {
  for (const relay of relays)
    if (parseUri(relay) === undefined) throw new MsrpError('E_ARGUMENT', 'a relay is no MSRP URI');
  if (uri !== undefined && parseUri(uri) === undefined) throw new MsrpError('E_ARGUMENT', 'uri is no MSRP URI');
  if (/[\p{Cc}]/u.test(user)) throw new MsrpError('E_ARGUMENT', 'user holds control characters');
  if (!isSeconds(String(expiresS))) throw new MsrpError('E_ARGUMENT', 'expiresS is no number of whole seconds');
}
