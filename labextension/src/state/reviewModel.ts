import { ApiError } from '../api/errors';
import type {
  AccessRequest,
  DecidedLine,
  Publication,
  Review,
  ReviewContent,
  ReviewLine,
  Reviews
} from '../api/generated/openapi';
import type { IReviewsApi, Theme } from '../api/reviews';
import { PollModel } from './pollModel';

const POLL_MS = 30_000;

/** One thing on a reviewer's desk. `key`: `job ID`, `data NAME` or `request ID`; `title` and `what` were written by others. */
export interface IDeskItem {
  key: string;
  kind: 'job' | 'draft' | 'data' | AccessRequest['kind'];
  title: string;
  who: string;
  what: string;
  at: string;
}

/** The lists of the desk, each in its order. */
export interface IDesk {
  waiting: readonly IDeskItem[];
  drafts: readonly IDeskItem[];
  decided: ReadonlyArray<IDeskItem & { said: DecidedLine }>;
}

const EMPTY: IDesk = { waiting: [], drafts: [], decided: [] };

/** What waits for this person's word, and the one that they look at. */
export class ReviewModel extends PollModel {
  constructor(private readonly api: IReviewsApi) {
    super('review');
  }

  /** What the server said last; null before that. */
  get answer(): Reviews | null {
    return this._answer;
  }

  /** Everything on the desk as lists of one shape. */
  get desk(): IDesk {
    return this._desk;
  }

  /** The key of the one that is looked at. */
  get selected(): string | null {
    return this._selected;
  }

  /** The job that is looked at; null for other kinds, and before the first answer. */
  get review(): Review | null {
    return this._review;
  }

  /** Why the job that is looked at could not be read. */
  get reviewError(): ApiError | null {
    return this._reviewError;
  }

  /** What is in the package of the job that is looked at; null before it was asked for and read. */
  get content(): ReviewContent | null {
    return this._content;
  }

  /** Why its package could not be read. */
  get contentError(): ApiError | null {
    return this._contentError;
  }

  /** The page of a job's clean run, for a frame. */
  cleanRunUrl(id: string, theme: Theme): string {
    return this.api.cleanRunUrl(id, theme);
  }

  /** Read the package of the job that is looked at, once: what a digest names stays as it is. */
  async readContent(): Promise<void> {
    const review = this._review?.submission;
    if (!review?.content_digest || this._content || this._reading === review.content_digest) {
      return;
    }
    const mine = (this._reading = review.content_digest);
    this._contentError = null;
    try {
      const content = await this.api.reviewContent(review.id);
      if (mine === this._reading) {
        this._content = content;
      }
    } catch (reason) {
      if (mine === this._reading) {
        this._contentError = ApiError.from(reason);
      }
    }
    if (mine === this._reading) {
      this._reading = '';
      this.stateChanged.emit();
    }
  }

  /** The publication that is looked at, while it waits. */
  get publication(): Publication | undefined {
    return this._answer?.publications.find(({ name }) => keyOf('data', name) === this._selected);
  }

  /** The request that is looked at, while it waits. */
  get request(): AccessRequest | undefined {
    return this._answer?.requests.find(({ id }) => keyOf('request', id) === this._selected);
  }

  /** Look at one of them. */
  async select(key: string | null): Promise<void> {
    if (key === this._selected) {
      return;
    }
    this._selected = key;
    this.forget();
    this.stateChanged.emit();
    await this.readSelected();
    this.stateChanged.emit();
  }

  /** Read everything again, also what seems to be as it was. */
  async reload(): Promise<void> {
    this._stamp = '';
    await this.refresh();
  }

  protected async load(): Promise<void> {
    this._answer = await this.api.reviews();
    this._desk = deskOf(this._answer);
    await this.readSelected();
  }

  protected interval(): number {
    return POLL_MS;
  }

  /** A desk that nobody looks at is not read. */
  protected override resting(): boolean {
    return !this.visible;
  }

  /** The job that is looked at, if anything of it is another: a list says more cheaply whether it is. */
  private async readSelected(): Promise<void> {
    const key = this._selected;
    const id = idOf(key);
    const stamp = this.stampOf(id);
    if (id === null || stamp === this._stamp) {
      return;
    }
    try {
      const review = await this.api.review(id);
      if (key === this._selected) {
        this.keep(review, null, stamp);
      }
    } catch (reason) {
      if (key === this._selected) {
        this.keep(this._review, ApiError.from(reason), '');
      }
    }
  }

  private stampOf(id: string | null): string {
    const { waiting = [], drafts = [], decided = [] } = this._answer ?? {};
    const line = [...waiting, ...drafts, ...decided].find(one => one.id === id);
    return `${id} ${line ? `${line.state} ${line.updated_at} ${line.decisions}` : 'elsewhere'}`;
  }

  private forget(): void {
    this.keep(null, null, '');
    this._content = this._contentError = null;
    this._reading = '';
  }

  private keep(review: Review | null, error: ApiError | null, stamp: string): void {
    this._review = review;
    this._reviewError = error;
    this._stamp = stamp;
  }

  private _answer: Reviews | null = null;
  private _desk: IDesk = EMPTY;
  private _selected: string | null = null;
  private _review: Review | null = null;
  private _reviewError: ApiError | null = null;
  private _content: ReviewContent | null = null;
  private _contentError: ApiError | null = null;
  private _reading = ''; // the digest of the package that is being read
  private _stamp = ''; // of what was read, as the list had it
}

function keyOf(kind: 'job' | 'data' | 'request', id: string): string {
  return `${kind} ${id}`;
}

/** The submission that a key names; null where it names something else. */
function idOf(key: string | null): string | null {
  return key?.startsWith('job ') ? key.slice('job '.length) : null;
}

function deskOf(answer: Reviews): IDesk {
  const waiting = [
    ...answer.waiting.map(line => ofLine(line, 'job')),
    ...answer.publications.map(ofPublication),
    ...answer.requests.map(ofRequest)
  ];
  return {
    waiting: waiting.sort((a, b) => a.at.localeCompare(b.at)),
    drafts: answer.drafts.map(line => ofLine(line, 'draft')),
    decided: answer.decided.map(said => ({ ...ofLine(said, 'job'), at: said.decided_at, said }))
  };
}

function ofLine({ id, name, version, notebook, person, updated_at: at }: ReviewLine, kind: 'job' | 'draft'): IDeskItem {
  return { key: keyOf('job', id), kind, title: `${name}-${version}`, who: person, what: notebook, at };
}

function ofPublication({ name, author, description, created_at: at }: Publication): IDeskItem {
  return { key: keyOf('data', name), kind: 'data', title: name, who: author, what: description, at };
}

function ofRequest({
  id,
  kind,
  dataset,
  resource,
  package: name,
  person,
  purpose,
  created_at: at
}: AccessRequest): IDeskItem {
  return { key: keyOf('request', id), kind, title: dataset || name || resource || id, who: person, what: purpose, at };
}
