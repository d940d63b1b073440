import React from 'react';

const WIDTH = 240;
const HEIGHT = 32;
/** More than this many steps without a sample: nothing is known of the time between. */
const GAP_STEPS = 3;

export interface IPoint {
  /** Seconds since 1970. */
  at: number;
  /** Length of the step that it stands for, seconds. */
  span: number;
  value: number;
}

export interface ISparklineProps {
  /** What the line shows, in words. */
  text: string;
  /** Oldest first. */
  points: readonly IPoint[];
  /** The height of the drawing. */
  max: number;
}

/** How one number went, as a small line; breaks where nothing is known. */
export function Sparkline({ text, points, max }: ISparklineProps): React.JSX.Element {
  return (
    <svg
      className="jp-Guardrails-sparkline"
      role="img"
      aria-label={text}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
    >
      <path d={pathOf(points, max)} />
    </svg>
  );
}

/** The drawing of `points` as an SVG path: a straight line between neighbours, a new one after a gap. */
export function pathOf(points: readonly IPoint[], max: number): string {
  const first = points[0]?.at ?? 0;
  const length = (points[points.length - 1]?.at ?? 0) - first || 1;
  const place = ({ at, value }: IPoint): string => {
    const share = Math.max(0, Math.min(1, value / (max || 1)));
    return `${round(((at - first) / length) * WIDTH)} ${round(1 + (1 - share) * (HEIGHT - 2))}`;
  };
  const begins = (index: number): boolean => {
    const [before, point] = [points[index - 1], points[index]];
    return !before || !point || point.at - before.at > GAP_STEPS * Math.max(before.span, point.span);
  };
  return points.map((point, index) => `${begins(index) ? 'M' : 'L'}${place(point)}`).join('');
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
