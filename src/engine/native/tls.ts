import type { DomainHandle, EngineHandle, ServerHandle } from '../../addon/engine-handle.ts';
import { MsrpError } from '../../errors.ts';
import type { TlsDomain, TlsServerSpec } from '../engine.ts';

/** What the addon has made of TLS domains: each once, by the identity of the object, as long as somebody has that. */
export class TlsHandles {
  readonly #handle: EngineHandle;
  readonly #domains = new WeakMap<TlsDomain, DomainHandle>();

  constructor(handle: EngineHandle) {
    this.#handle = handle;
  }

  /** Throws `E_TLS_MATERIAL` when certificate, key and the rest do not fit together. */
  domain(domain: TlsDomain): DomainHandle {
    const known = this.#domains.get(domain);
    if (known !== undefined) return known;
    const { identities, ciphers, curves, ...rest } = domain;
    let made: DomainHandle;
    try {
      made = this.#handle.tlsDomain({
        ...rest,
        identities: identities.map(({ certificate, privateKey }) => ({ certificate, privateKey })),
        ...(ciphers === undefined ? {} : { ciphers: [...ciphers] }),
        ...(curves === undefined ? {} : { curves: [...curves] }),
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new MsrpError('E_TLS_MATERIAL', `TLS domain ${domain.name}: ${reason}`, { cause: error });
    }
    this.#domains.set(domain, made);
    return made;
  }

  /** Throws as {@link TlsHandles.domain} does. */
  server({ byName, fallback }: TlsServerSpec): ServerHandle {
    const patterns = byName.map(({ pattern }) => pattern);
    const domains = byName.map(({ domain }) => this.domain(domain));
    return this.#handle.tlsServer(patterns, domains, fallback === undefined ? undefined : this.domain(fallback));
  }
}
