/** JSON-RPC 2.0: what a text asks for, and the text that answers it. Knows no method and no transport. */

/** Why a call failed, as the caller is told. Codes below −32000 are those of the specification. */
export class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.name = 'RpcError';
    this.code = code;
    this.data = data;
  }
}

/** Codes of {@link RpcError}. From −32000 on they are this interface's own. */
export const RPC = {
  PARSE: -32700,
  INVALID_REQUEST: -32600,
  NO_METHOD: -32601,
  INVALID_PARAMS: -32602,
  INTERNAL: -32603,
  /** It was understood, and could not be done: `data` says why. */
  FAILED: -32000,
  /** No connection or session of that number. */
  NOT_FOUND: -32001,
} as const;

export type RpcParams = readonly unknown[] | Readonly<Record<string, unknown>>;

/** Calls a method; rejects with an {@link RpcError} where the caller is to know why. */
export type RpcCall = (method: string, params: RpcParams) => unknown;

/** Calls in one text. */
export const MAX_BATCH = 100;

/**
 * Answers a text: one call, or a batch of them, which are made in order. Undefined when nothing is to be answered (notifications
 * alone). Never rejects. `onFault` hears of errors that are no {@link RpcError}, of which the caller is told nothing.
 */
export async function answerRpc(
  text: string,
  call: RpcCall,
  onFault: (error: unknown) => void,
): Promise<string | undefined> {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return JSON.stringify(failure(null, new RpcError(RPC.PARSE, 'Parse error')));
  }
  if (!Array.isArray(message)) {
    const response = await answerOne(message, call, onFault);
    return response === undefined ? undefined : JSON.stringify(response);
  }
  if (message.length === 0 || message.length > MAX_BATCH) {
    const why = message.length === 0 ? 'the batch is empty' : `at most ${MAX_BATCH} calls in a batch`;
    return JSON.stringify(failure(null, new RpcError(RPC.INVALID_REQUEST, 'Invalid Request', why)));
  }
  const responses: object[] = [];
  for (const entry of message as unknown[]) {
    const response = await answerOne(entry, call, onFault);
    if (response !== undefined) responses.push(response);
  }
  return responses.length === 0 ? undefined : JSON.stringify(responses);
}

type RpcId = string | number | null;

async function answerOne(
  message: unknown,
  call: RpcCall,
  onFault: (error: unknown) => void,
): Promise<object | undefined> {
  if (!isRequest(message)) return failure(idOf(message), new RpcError(RPC.INVALID_REQUEST, 'Invalid Request'));
  const { id, method, params = [] } = message;
  try {
    const result = await call(method, params);
    return id === undefined ? undefined : { jsonrpc: '2.0', result: result ?? null, id };
  } catch (error) {
    const told = error instanceof RpcError ? error : new RpcError(RPC.INTERNAL, 'Internal error');
    if (told !== error) onFault(error);
    return id === undefined ? undefined : failure(id, told);
  }
}

function isRequest(message: unknown): message is { id?: RpcId; method: string; params?: RpcParams } {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return false;
  const { jsonrpc, id, method, params } = message as Record<string, unknown>;
  if (jsonrpc !== '2.0' || typeof method !== 'string') return false;
  if (id !== undefined && id !== null && typeof id !== 'string' && typeof id !== 'number') return false;
  return params === undefined || (typeof params === 'object' && params !== null);
}

function idOf(message: unknown): RpcId {
  const id: unknown = (message as { id?: unknown } | null)?.id;
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}

function failure(id: RpcId, { code, message, data }: RpcError): object {
  return { jsonrpc: '2.0', error: { code, message, ...(data === undefined ? {} : { data }) }, id };
}
