import { ServerConnection } from '@jupyterlab/services';

import { GuardrailsApi } from '../api/client';
import { ApiError } from '../api/errors';

interface ISeen {
  url: URL;
  method: string;
  headers: Headers;
  body: string;
  signal: AbortSignal;
}

function serve(status: number, body: string): { api: GuardrailsApi; seen: ISeen[] } {
  const seen: ISeen[] = [];
  const settings = ServerConnection.makeSettings({
    baseUrl: 'http://localhost:8888/user/ana/',
    init: { cache: 'no-cache' },
    fetch: async (input: RequestInfo | URL) => {
      const request = input as Request;
      seen.push({
        url: new URL(request.url),
        method: request.method,
        headers: request.headers,
        body: await request.text(),
        signal: request.signal
      });
      return new Response(body, { status, statusText: 'said so' });
    }
  });
  return { api: new GuardrailsApi(settings), seen };
}

async function errorOf(promise: Promise<unknown>): Promise<ApiError> {
  return promise.then(
    () => {
      throw new Error('it worked');
    },
    (reason: unknown) => ApiError.from(reason)
  );
}

describe('requests', () => {
  it('stay below the base URL, with names as one encoded part', async () => {
    const { api, seen } = serve(200, '{}');
    await api.dataset('nyc/flights & more');
    expect(seen[0]?.url.pathname).toBe('/user/ana/guardrails/datasets/nyc%2Fflights%20%26%20more');
    expect(api.packageUrl('a/b')).toBe('http://localhost:8888/user/ana/guardrails/submissions/a%2Fb/package');
  });

  it('that nobody asked for keep no idle server alive, those of a person do', async () => {
    const { api, seen } = serve(200, '{}');
    await api.kernels();
    await api.chooseProfile({ profile: 'large' });
    expect(seen[0]?.url.searchParams.get('no_track_activity')).toBe('1');
    expect(seen[1]?.url.searchParams.has('no_track_activity')).toBe(false);
    expect(seen[1]?.method).toBe('PUT');
    expect(JSON.parse(seen[1]?.body ?? '')).toEqual({ profile: 'large' });
  });

  it('to submit carry a key each', async () => {
    const { api, seen } = serve(202, '{"id": "s1"}');
    await api.submit({ notebook: 'a.ipynb' });
    await api.submit({ notebook: 'a.ipynb' });
    const keys = seen.map(({ headers }) => headers.get('Idempotency-Key'));
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(keys[0]).not.toBe(keys[1]);
  });

  it('encode what is searched for', async () => {
    const { api, seen } = serve(200, '{"datasets": [], "total": 0}');
    const asked = { query: 'a&b=c', scope: 'granted', offset: 400, limit: 200 } as const;
    await api.datasets(asked, new AbortController().signal);
    const said = Object.fromEntries(seen[0]?.url.searchParams ?? []);
    expect(said).toMatchObject({ q: 'a&b=c', scope: 'granted', order: 'usable', offset: '400', limit: '200' });
  });

  it('that are taken back go no further', async () => {
    const { api, seen } = serve(200, '{"datasets": [], "total": 0}');
    const away = new AbortController();
    await api.datasets({ query: '', scope: 'all', offset: 0, limit: 200 }, away.signal);
    expect(seen[0]?.signal.aborted).toBe(false);
    away.abort();
    expect(seen[0]?.signal.aborted).toBe(true);
  });

  it('that are refused say which rule and what next', async () => {
    const body = { code: 'refused', message: 'no', next_step: 'ask carol', rule: 'guardrails.yaml:3 r' };
    const error = await errorOf(serve(403, JSON.stringify(body)).api.me());
    expect([error.message, error.nextStep, error.rule, error.offline]).toEqual([
      'no',
      'ask carol',
      'guardrails.yaml:3 r',
      false
    ]);
  });

  it('tell control that is away (answered by the server) from a server that is away (answered by a proxy)', async () => {
    const away = { code: 'control_away', message: 'control does not answer', next_step: 'wait', rule: '' };
    expect((await errorOf(serve(503, JSON.stringify(away)).api.me())).offline).toBe(false);
    const error = await errorOf(serve(503, '<html>proxy</html>').api.me());
    expect([error.offline, error.message]).toEqual([true, '503 said so']);
  });

  it('that reach nobody are offline', async () => {
    const settings = ServerConnection.makeSettings({
      baseUrl: 'http://localhost:1/',
      fetch: () => Promise.reject(new TypeError('Failed to fetch'))
    });
    expect((await errorOf(new GuardrailsApi(settings).me())).offline).toBe(true);
  });

  it('with an answer that is no JSON are an error', async () => {
    expect((await errorOf(serve(200, '<html></html>').api.me())).message).toContain('200');
  });
});
