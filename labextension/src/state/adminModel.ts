import type { IAdminApi, UsageBy } from '../api/admin';
import type { AuditRecord, Budget, Me, Usage } from '../api/generated/openapi';
import { PollModel } from './pollModel';

const POLL_MS = 60_000;

/** How far back use is summed, as the server takes it. */
export const RANGES = ['24h', '7d', '30d'] as const;

/** One of these. */
export type Range = (typeof RANGES)[number];

/** The columns that numbers stand in. */
export const AMOUNTS = ['kernels', 'cpu_hours', 'memory_gib_hours', 'gpu_hours'] as const;

/** One of these. */
export type AmountColumn = (typeof AMOUNTS)[number];

/** What rows are sorted by. */
export type Column = 'person' | 'key' | AmountColumn;

/** One line of use. */
export type UsageRow = Usage['rows'][number];

/** Use, policy and host state, as far as this person may see them. */
export class AdminModel extends PollModel {
  constructor(private readonly api: IAdminApi) {
    super('admin');
  }

  get me(): Me | null {
    return this._me;
  }

  get budget(): Budget | null {
    return this._budget;
  }

  get isAdmin(): boolean {
    return this._me?.roles.includes('admin') ?? false;
  }

  /** When the policy changed, the newest first. */
  get changes(): readonly AuditRecord[] {
    return this._changes;
  }

  /** How many things wait for this person's word; null where the server can't tell. */
  get waiting(): number | null {
    return this._waiting;
  }

  get range(): Range {
    return this._range;
  }

  get by(): UsageBy {
    return this._by;
  }

  /** Whether the rows still answer an earlier choice. */
  get stale(): boolean {
    return this._usage !== null && this._answers !== this.question();
  }

  get column(): Column {
    return this._column;
  }

  get ascending(): boolean {
    return this._ascending;
  }

  /** The rows in the order that was chosen; null before the first answer. */
  get rows(): readonly UsageRow[] | null {
    const sign = this._ascending ? 1 : -1;
    const column = this._column;
    const compare = (a: UsageRow, b: UsageRow): number => {
      const [left, right] = [a[column], b[column]];
      return typeof left === 'number' ? left - Number(right) : left.localeCompare(String(right));
    };
    return (
      this._usage && [...this._usage.rows].sort((a, b) => sign * compare(a, b) || a.person.localeCompare(b.person))
    );
  }

  /** The sum of all rows. */
  total(column: AmountColumn): number {
    return (this._usage?.rows ?? []).reduce((sum, row) => sum + row[column], 0);
  }

  /** Sum what was used since then, by that. */
  choose(range: Range, by: UsageBy): void {
    this._range = range;
    this._by = by;
    this.stateChanged.emit();
    void this.refresh();
  }

  /** Sort by a column; once more turns the order round. Numbers begin with the biggest. */
  sort(column: Column): void {
    this._ascending = column === this._column ? !this._ascending : column === 'person' || column === 'key';
    this._column = column;
    this.stateChanged.emit();
  }

  protected async load(): Promise<void> {
    const asked = this.question();
    const [me, budget, usage] = await Promise.all([
      this.api.me(),
      this.api.budget(),
      this.api.usage(this._range, this._by)
    ]);
    const admin = me.roles.includes('admin');
    const [changes, waiting] = await Promise.all([admin ? this.api.policyChanges() : [], this.countWaiting()]);
    this._me = me;
    this._budget = budget;
    if (asked === this.question()) {
      this._usage = usage;
      this._answers = asked;
    }
    this._changes = [...changes].reverse();
    this._waiting = waiting;
  }

  protected interval(): number {
    return POLL_MS;
  }

  /** A tab that nobody looks at is not read. */
  protected override resting(): boolean {
    return !this.visible;
  }

  /** A number besides: where it can't be had, the rest is shown without. */
  private async countWaiting(): Promise<number | null> {
    try {
      const { waiting, publications, requests } = await this.api.reviews();
      return waiting.length + publications.length + requests.length;
    } catch {
      return null;
    }
  }

  private question(): string {
    return `${this._range} ${this._by}`;
  }

  private _me: Me | null = null;
  private _budget: Budget | null = null;
  private _usage: Usage | null = null;
  private _answers = '';
  private _changes: readonly AuditRecord[] = [];
  private _waiting: number | null = null;
  private _range: Range = '30d';
  private _by: UsageBy = 'person';
  private _column: Column = 'cpu_hours';
  private _ascending = false;
}
