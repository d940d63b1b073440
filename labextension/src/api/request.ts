import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { ApiError, Trouble } from './errors';
import type { Error as ErrorBody } from './generated/openapi';

export interface IRequestOptions {
  method?: 'GET' | 'POST' | 'PUT';
  body?: unknown;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  /** A request that no person asked for: it must not keep an idle server from being culled. */
  background?: boolean;
  /** Takes the request back when it aborts. */
  signal?: AbortSignal;
}

/** How long an answer is waited for: longer than the server waits for control, which takes its time with a notebook. */
const READ_MS = 45_000;
const ACT_MS = 150_000;

/** The address of one of our end points; every part of the path is percent-encoded. */
export function endPoint(settings: ServerConnection.ISettings, ...parts: string[]): string {
  return URLExt.join(settings.baseUrl, 'guardrails', ...parts.map(encodeURIComponent));
}

/** So long nothing more is asked in the background of a server that has no part of ours. */
const ABSENT_MS = 10_000;

/** Send a request to our server extension. The answer's JSON, or an ApiError. */
export function request<T>(
  settings: ServerConnection.ISettings,
  parts: string[],
  options: IRequestOptions = {}
): Promise<T> {
  const transport = transports.get(settings) ?? new Transport(settings);
  transports.set(settings, transport);
  return transport.send<T>(parts, options);
}

/** One server's requests: tells a server that never had our part from one that lacks a single route. */
class Transport {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  /** The answer's JSON, or an ApiError. */
  async send<T>(parts: string[], options: IRequestOptions): Promise<T> {
    if (options.background && this.first && !this.heard) {
      await this.first.catch(() => undefined); // one request finds out whether there is anybody to ask
      if (this.absent && Date.now() - this.absentAt < ABSENT_MS) {
        throw this.absent;
      }
    }
    const answered = this.ask<T>(parts, options);
    this.first ??= answered;
    return answered;
  }

  private async ask<T>(parts: string[], options: IRequestOptions): Promise<T> {
    try {
      const found = (await answerTo(this.settings, parts, options)) as T;
      this.heard = true;
      return found;
    } catch (reason) {
      const error = ApiError.from(reason);
      if (error.trouble !== 'missing') {
        throw error;
      }
      if (this.heard) {
        throw as(error, 'older');
      }
      this.absentAt = Date.now();
      throw (this.absent = error);
    }
  }

  private heard = false;
  private first: Promise<unknown> | undefined;
  private absent: ApiError | null = null;
  private absentAt = 0;
}

const transports = new WeakMap<ServerConnection.ISettings, Transport>();

function as({ message, options }: ApiError, trouble: Trouble): ApiError {
  return new ApiError(message, { ...options, trouble });
}

async function answerTo(
  settings: ServerConnection.ISettings,
  parts: string[],
  options: IRequestOptions
): Promise<object> {
  const query = { ...options.query, ...(options.background ? { no_track_activity: '1' } : {}) };
  const url = endPoint(settings, ...parts) + (Object.keys(query).length ? URLExt.objectToQueryString(query) : '');
  const given = new AbortController();
  options.signal?.addEventListener('abort', () => given.abort());
  if (options.signal?.aborted) {
    given.abort(); // while the first request was waited for
  }
  const init: RequestInit = {
    method: options.method ?? 'GET',
    headers: options.headers,
    body: options.body === undefined ? undefined : JSON.stringify(options.body),
    signal: given.signal
  };
  const ms = init.method === 'GET' ? READ_MS : ACT_MS;
  const [response, text] = await within(ms, given, async () => {
    try {
      const came = await ServerConnection.makeRequest(url, init, settings);
      return [came, await came.text()];
    } catch (reason) {
      throw new ApiError(reason instanceof Error ? reason.message : String(reason), { offline: true });
    }
  });
  return bodyOf(response, text);
}

type Answer = [Response, string];

/** What it comes to, or an error after so long; what is on its way then is given up. */
async function within(ms: number, given: AbortController, run: () => Promise<Answer>): Promise<Answer> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => {
      reject(new ApiError(`no answer came within ${ms / 1000} s`, { trouble: 'late' }));
      given.abort();
    }, ms);
  });
  try {
    return await Promise.race([run(), late]);
  } finally {
    window.clearTimeout(timer);
  }
}

function bodyOf(response: Response, text: string): object {
  const body = parse(text);
  if (response.ok && typeof body === 'object' && body !== null) {
    return body;
  }
  const said = (typeof body === 'object' && body !== null ? body : {}) as Partial<ErrorBody>;
  throw new ApiError(said.message ?? `${response.status} ${response.statusText}`, {
    code: said.code,
    nextStep: said.next_step,
    rule: said.rule,
    fields: said.fields,
    status: response.status,
    trouble: said.code === undefined ? troubleOf(response) : 'said'
  });
}

/** What it means that an answer is none of ours. */
function troubleOf({ ok, status }: Response): Trouble {
  if (ok || status === 401 || status === 403) {
    return 'signed_out'; // a proxy's page to log in comes with 200, Jupyter's own refusal with 403
  }
  if (status === 404 || status === 405) {
    return 'missing';
  }
  // 502-504 without a body of ours come from a proxy in front of a server that is away.
  return status >= 502 && status <= 504 ? 'offline' : 'broken';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not ours: a page of a proxy
  }
}
