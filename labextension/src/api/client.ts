import { UUID } from '@lumino/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type {
  AccessRequest,
  Budget,
  DatasetDetail,
  Datasets,
  History,
  Kernels,
  Kept,
  Me,
  NewMore,
  NewPackage,
  NewPublication,
  NewRequest,
  NewSubmission,
  Production,
  ProfileChoice,
  Publication,
  Publications,
  Reopened,
  Requests,
  Stopped,
  Submission,
  Submissions
} from './generated/openapi';
import { endPoint, request } from './request';

export type Scope = 'all' | 'granted' | 'requestable';

/** Which datasets to list; those that can be used stand first where no words rank them. */
export interface IDatasetQuery {
  query: string;
  scope: Scope;
  offset: number;
  limit: number;
}

export interface ISubmissionQuery {
  /** Whose notebook's path has them. */
  words: string;
  /** How many at most. */
  limit: number;
}

/** What the panel asks of the server, typed by its OpenAPI file. */
export interface IGuardrailsApi {
  /** `own` of the answer is about a notebook. */
  me(notebook?: string | null): Promise<Me>;
  kernels(): Promise<Kernels>;
  history(id: string): Promise<History>;
  budget(): Promise<Budget>;
  chooseProfile(choice: ProfileChoice): Promise<ProfileChoice>;
  keepKernel(id: string): Promise<Kept>;
  stopKernel(id: string): Promise<Stopped>;
  requestMore(ask: NewMore): Promise<AccessRequest>;
  /** One page of a listing; a signal that aborts takes the question back. */
  datasets(asked: IDatasetQuery, signal: AbortSignal): Promise<Datasets>;
  dataset(name: string): Promise<DatasetDetail>;
  requests(): Promise<Requests>;
  requestAccess(ask: NewRequest): Promise<AccessRequest>;
  requestPackage(ask: NewPackage): Promise<AccessRequest>;
  publications(): Promise<Publications>;
  propose(name: string, group: string): Promise<Publication>;
  withdraw(name: string, reason: string): Promise<Publication>;
  bring(file: NewPublication): Promise<Publication>;
  submissions(asked: ISubmissionQuery): Promise<Submissions>;
  submission(id: string): Promise<Submission>;
  production(id: string): Promise<Production>;
  submit(submission: NewSubmission): Promise<Submission>;
  cancel(id: string): Promise<Submission>;
  withdrawSubmission(id: string): Promise<Submission>;
  share(id: string, shared: boolean): Promise<Submission>;
  reopen(id: string): Promise<Reopened>;
  packageUrl(id: string): string;
}

/** The API of the Jupyter server that these settings lead to. */
export class GuardrailsApi implements IGuardrailsApi {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  me(notebook: string | null = null): Promise<Me> {
    return request(this.settings, ['me'], { query: notebook === null ? {} : { notebook }, background: true });
  }

  kernels(): Promise<Kernels> {
    return request(this.settings, ['kernels'], { background: true });
  }

  history(id: string): Promise<History> {
    return request(this.settings, ['kernels', id, 'history'], { background: true });
  }

  budget(): Promise<Budget> {
    return request(this.settings, ['budget'], { background: true });
  }

  chooseProfile(choice: ProfileChoice): Promise<ProfileChoice> {
    return request(this.settings, ['profile'], { method: 'PUT', body: choice });
  }

  keepKernel(id: string): Promise<Kept> {
    return request(this.settings, ['kernels', id, 'keep'], { method: 'POST', body: {} });
  }

  stopKernel(id: string): Promise<Stopped> {
    return request(this.settings, ['kernels', id, 'stop'], { method: 'POST', body: {} });
  }

  requestMore(ask: NewMore): Promise<AccessRequest> {
    return request(this.settings, ['requests'], { method: 'POST', body: ask });
  }

  datasets({ query, scope, offset, limit }: IDatasetQuery, signal: AbortSignal): Promise<Datasets> {
    const asked = { q: query, scope, order: 'usable', offset: String(offset), limit: String(limit) };
    return request(this.settings, ['datasets'], { query: asked, background: true, signal });
  }

  dataset(name: string): Promise<DatasetDetail> {
    return request(this.settings, ['datasets', name]);
  }

  requests(): Promise<Requests> {
    return request(this.settings, ['requests'], { background: true });
  }

  requestAccess(ask: NewRequest): Promise<AccessRequest> {
    return request(this.settings, ['requests'], { method: 'POST', body: ask });
  }

  requestPackage(ask: NewPackage): Promise<AccessRequest> {
    return request(this.settings, ['requests'], { method: 'POST', body: ask });
  }

  publications(): Promise<Publications> {
    return request(this.settings, ['publications'], { background: true });
  }

  propose(name: string, group: string): Promise<Publication> {
    return request(this.settings, ['publications', name, 'propose'], { method: 'POST', body: { group } });
  }

  withdraw(name: string, reason: string): Promise<Publication> {
    return request(this.settings, ['publications', name, 'withdraw'], { method: 'POST', body: { reason } });
  }

  bring(file: NewPublication): Promise<Publication> {
    return request(this.settings, ['publications'], { method: 'POST', body: file });
  }

  submissions({ words, limit }: ISubmissionQuery): Promise<Submissions> {
    return request(this.settings, ['submissions'], { query: { q: words, limit: String(limit) }, background: true });
  }

  submission(id: string): Promise<Submission> {
    return request(this.settings, ['submissions', id], { background: true });
  }

  production(id: string): Promise<Production> {
    return request(this.settings, ['submissions', id, 'production'], { background: true });
  }

  /** Each call is one submission, also when the network repeats it: hence the key. */
  submit(submission: NewSubmission): Promise<Submission> {
    const headers = { 'Idempotency-Key': UUID.uuid4() };
    return request(this.settings, ['submissions'], { method: 'POST', body: submission, headers });
  }

  cancel(id: string): Promise<Submission> {
    return request(this.settings, ['submissions', id, 'cancel'], { method: 'POST', body: {} });
  }

  withdrawSubmission(id: string): Promise<Submission> {
    return request(this.settings, ['submissions', id, 'withdraw'], { method: 'POST', body: {} });
  }

  share(id: string, shared: boolean): Promise<Submission> {
    return request(this.settings, ['submissions', id, 'share'], { method: 'POST', body: { shared } });
  }

  reopen(id: string): Promise<Reopened> {
    return request(this.settings, ['submissions', id, 'reopen'], { method: 'POST', body: {} });
  }

  packageUrl(id: string): string {
    return endPoint(this.settings, 'submissions', id, 'package');
  }
}
