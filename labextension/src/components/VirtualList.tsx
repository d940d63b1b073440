import React from 'react';

/** Rows beyond those that can be seen: enough for the Tab key, a screen reader and a turn of the wheel. */
const MORE = 6;
/** Until the list is laid out. */
const UNKNOWN_HEIGHT = 800;

/** What a row's `li` takes over, so that its place in the whole list is known to screen readers. */
export interface IRowPlace {
  'aria-setsize': number;
  'aria-posinset': number;
  'data-index': number;
}

export interface IVirtualListProps {
  /** Its name for screen readers. */
  label: string;
  count: number;
  /** Another question has another list: it is shown from its beginning. */
  resetKey: string;
  /** About how high a row is, pixels. */
  rowHeight: number;
  /** Rows that stay, wherever the list is scrolled to. */
  pinned: readonly number[];
  /** Called with the places that are drawn, after each drawing. */
  onShow: (first: number, last: number) => void;
  /** One row: an `li` with a key that takes `place` over. */
  row: (place: IRowPlace) => React.ReactElement;
}

/** A list of which only the rows in sight are in the page; rows may have any height, and change it. */
export function VirtualList(props: IVirtualListProps): React.JSX.Element {
  const { label, count, resetKey, rowHeight, onShow } = props;
  const list = React.useRef<HTMLUListElement>(null);
  const heights = React.useRef<RowHeights>(new RowHeights());
  const [span, setSpan] = React.useState({ first: 0, last: Math.ceil(UNKNOWN_HEIGHT / rowHeight) });
  const [focused, setFocused] = React.useState(-1);
  const tops = heights.current.tops(count, rowHeight);
  const follow = React.useRef(() => {});
  follow.current = (): void => {
    const node = list.current;
    if (node) {
      heights.current.measure(node);
      const now = inSight(node, heights.current.tops(count, rowHeight));
      setSpan(known => (known.first === now.first && known.last === now.last ? known : now));
    }
  };
  useFollowing(list, follow);
  React.useLayoutEffect(() => {
    heights.current.forget();
    const scroller = scrollerOf(list.current);
    if (scroller) {
      scroller.scrollTop = 0;
    }
  }, [resetKey]);
  React.useLayoutEffect(() => follow.current());
  const first = Math.max(0, Math.min(span.first, count - 1) - MORE);
  const last = Math.min(count - 1, span.last + MORE);
  React.useEffect(() => onShow(first, last));
  return (
    <ul
      ref={list}
      className="jp-Guardrails-list jp-Guardrails-virtual"
      aria-label={label}
      onFocus={event => setFocused(indexOf(event.target))}
      onBlur={() => setFocused(-1)}
    >
      {withGaps([...props.pinned, focused], { first, last }, tops, props)}
    </ul>
  );
}

/** The rows with what stands for those between them. */
function withGaps(
  pinned: readonly number[],
  { first, last }: ISpan,
  tops: readonly number[],
  { count, row }: IVirtualListProps
): React.ReactNode[] {
  const near = Array.from({ length: Math.max(0, last - first + 1) }, (_, place) => first + place);
  const far = pinned.filter(index => index >= 0 && index < count && (index < first || index > last));
  const indexes = [...new Set([...near, ...far])].sort((a, b) => a - b);
  const drawn: React.ReactNode[] = [];
  let next = 0;
  for (const index of [...indexes, count]) {
    const height = (tops[index] ?? 0) - (tops[next] ?? 0);
    if (index > next) {
      drawn.push(<li key={`gap ${index === count ? 'end' : next}`} aria-hidden="true" style={{ height }} />);
    }
    if (index < count) {
      drawn.push(row({ 'aria-setsize': count, 'aria-posinset': index + 1, 'data-index': index }));
    }
    next = index + 1;
  }
  return drawn;
}

interface ISpan {
  first: number;
  last: number;
}

/** How high rows were when they were last seen. */
class RowHeights {
  forget(): void {
    this._known = [];
    this._usual = null;
    this._tops = null;
  }

  /** Take the heights of the rows that are in the page. */
  measure(list: HTMLElement): void {
    for (const row of list.querySelectorAll<HTMLElement>(':scope > [data-index]')) {
      const index = Number(row.dataset.index);
      const height = row.getBoundingClientRect().height;
      if (height > 0 && this._known[index] !== height) {
        this._known[index] = height;
        this._tops = null;
      }
    }
    const heights = Object.values(this._known);
    this._usual ??= heights.length > 0 ? heights.reduce((sum, height) => sum + height) / heights.length : null;
  }

  /** Where each of `count` rows begins, and, as the last, where the list ends. */
  tops(count: number, rowHeight: number): readonly number[] {
    if (this._tops?.length !== count + 1) {
      const tops = [0];
      for (let index = 0, top = 0; index < count; index++) {
        top += this._known[index] ?? this._usual ?? rowHeight;
        tops.push(top);
      }
      this._tops = tops;
    }
    return this._tops;
  }

  private _known: number[] = [];
  /** What the first rows took, which the others probably do. */
  private _usual: number | null = null;
  private _tops: readonly number[] | null = null;
}

/** Call `follow` when what can be seen of the list may be another part. */
function useFollowing(list: React.RefObject<HTMLElement>, follow: React.RefObject<() => void>): void {
  React.useEffect(() => {
    const scroller = scrollerOf(list.current);
    const run = (): void => follow.current?.();
    scroller?.addEventListener('scroll', run, { passive: true });
    const sizes = typeof ResizeObserver === 'undefined' ? null : new ResizeObserver(run);
    for (const node of [list.current, scroller]) {
      if (node) {
        sizes?.observe(node);
      }
    }
    return () => {
      scroller?.removeEventListener('scroll', run);
      sizes?.disconnect();
    };
  }, [list, follow]);
}

function inSight(list: HTMLElement, tops: readonly number[]): ISpan {
  const scroller = scrollerOf(list);
  const above = scroller ? scroller.getBoundingClientRect().top - list.getBoundingClientRect().top : 0;
  const height = scroller?.clientHeight || UNKNOWN_HEIGHT;
  return { first: rowAt(tops, above), last: rowAt(tops, above + height) };
}

/** The row that a place of the list belongs to, found by halving. */
function rowAt(tops: readonly number[], place: number): number {
  let low = 0;
  let high = Math.max(0, tops.length - 2);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((tops[middle] ?? 0) <= place) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

function scrollerOf(list: HTMLElement | null): HTMLElement | null {
  let node = list?.parentElement ?? null;
  while (node && !/auto|scroll/.test(getComputedStyle(node).overflowY)) {
    node = node.parentElement;
  }
  return node;
}

function indexOf(target: Element): number {
  return Number(target.closest<HTMLElement>('[data-index]')?.dataset.index ?? -1);
}
