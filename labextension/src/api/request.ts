import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { ApiError } from './errors';
import type { Error as ErrorBody } from './generated/openapi';

export interface IRequestOptions {
  method?: 'GET' | 'POST' | 'PUT';
  body?: unknown;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  /** A request that no person asked for: it must not keep an idle server from being culled. */
  background?: boolean;
}

/** The address of one of our end points; every part of the path is percent-encoded. */
export function endPoint(settings: ServerConnection.ISettings, ...parts: string[]): string {
  return URLExt.join(settings.baseUrl, 'guardrails', ...parts.map(encodeURIComponent));
}

/** Send a request to our server extension. The answer's JSON, or an ApiError. */
export async function request<T>(
  settings: ServerConnection.ISettings,
  parts: string[],
  options: IRequestOptions = {}
): Promise<T> {
  const query = { ...options.query, ...(options.background ? { no_track_activity: '1' } : {}) };
  const url = endPoint(settings, ...parts) + (Object.keys(query).length ? URLExt.objectToQueryString(query) : '');
  const init: RequestInit = {
    method: options.method ?? 'GET',
    headers: options.headers,
    body: options.body === undefined ? undefined : JSON.stringify(options.body)
  };
  let response: Response;
  try {
    response = await ServerConnection.makeRequest(url, init, settings);
  } catch (reason) {
    throw new ApiError(reason instanceof Error ? reason.message : String(reason), { offline: true });
  }
  return answer<T>(response);
}

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text();
  const body = parse(text);
  if (response.ok && body !== undefined) {
    return body as T;
  }
  const said = (typeof body === 'object' && body !== null ? body : {}) as Partial<ErrorBody>;
  // 502-504 without a body of ours come from a proxy in front of a server that is away.
  const offline = said.code === undefined && [502, 503, 504].includes(response.status);
  throw new ApiError(said.message ?? `${response.status} ${response.statusText}`, {
    code: said.code,
    nextStep: said.next_step,
    rule: said.rule,
    fields: said.fields,
    status: response.status,
    offline
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not ours: an error page of a proxy
  }
}
