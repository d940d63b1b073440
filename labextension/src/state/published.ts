import type { NewPublication, Publication, Publications } from '../api/generated/openapi';
import { Changing } from './asking';

const NOTHING: Publications = {
  publications: [],
  to_review: [],
  person: '',
  groups: [],
  reviewed: true,
  imports: false
};

/** Whether it is over: nobody opens it any more. */
function isOver({ state }: Publication): boolean {
  return state === 'withdrawn' || state === 'superseded';
}

/** What this person published, what waits for their word, and what they may do with theirs. */
export class Published extends Changing {
  /** Own ones that somebody can still open, newest first. */
  get own(): readonly Publication[] {
    return this._answer.publications.filter(one => !isOver(one));
  }

  /** How many own versions are over: withdrawn, or a newer one took their place. */
  get over(): number {
    return this._answer.publications.filter(isOver).length;
  }

  /** Proposed by others, for this person to decide about. */
  get toReview(): readonly Publication[] {
    return this._answer.to_review;
  }

  /** Who this is; empty until the first answer. */
  get person(): string {
    return this._answer.person;
  }

  /** The groups that this person may propose to. */
  get groups(): readonly string[] {
    return this._answer.groups;
  }

  /** Whether another person looks at what is proposed; where nobody does, it is not published from here. */
  get reviewed(): boolean {
    return this._answer.reviewed;
  }

  /** Whether this person may bring files along. */
  get imports(): boolean {
    return this._answer.imports;
  }

  /** Read all of it from the server. */
  async load(): Promise<void> {
    this._answer = await this.api.publications();
  }

  /** Propose an own one to a group. Throws an ApiError. */
  propose(name: string, group: string): Promise<Publication> {
    return this.act(this.api.propose(name, group), () => this.load());
  }

  /** Take an own one back. Throws an ApiError. */
  withdraw(name: string, reason: string): Promise<Publication> {
    return this.act(this.api.withdraw(name, reason), () => this.load());
  }

  /** Bring a file of the workspace along, private. Throws an ApiError. */
  bring(file: NewPublication): Promise<Publication> {
    return this.act(this.api.bring(file), () => this.load());
  }

  private _answer: Publications = NOTHING;
}
