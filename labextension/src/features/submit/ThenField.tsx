import React from 'react';

import { ApiError } from '../../api/errors';
import { useTrans } from '../../components/translation';
import { baseName } from '../../format';
import { Field } from './jobFields';

export interface IBeside {
  paths: readonly string[];
  /** Why they can't be told. */
  problem?: string;
}

/** The notebooks of a folder, looked for once more with each opening. */
export function useBeside(others: () => Promise<string[]>, openings: number): IBeside {
  const trans = useTrans();
  const [found, setFound] = React.useState<IBeside>({ paths: [] });
  const look = React.useRef(others);
  look.current = others;
  React.useEffect(() => {
    look.current().then(
      paths => setFound({ paths }),
      (reason: unknown) =>
        setFound({ paths: [], problem: trans.__('The folder could not be read: %1', ApiError.from(reason).message) })
    );
  }, [openings, trans]);
  return found;
}

export interface IThenFieldProps {
  /** Paths of the notebooks that run after the first one, in this order. */
  chosen: readonly string[];
  /** Paths of the notebooks beside the first one. */
  others: readonly string[];
  problem?: string;
  onChange: (chosen: string[]) => void;
}

/** Notebooks of the same job, in the order in which they run. */
export function ThenField({ chosen, others, problem, onChange }: IThenFieldProps): React.JSX.Element {
  const trans = useTrans();
  const left = others.filter(path => !chosen.includes(path));
  const move = (place: number, by: number): void => {
    const moved = chosen.filter((_, index) => index !== place);
    moved.splice(place + by, 0, ...chosen.slice(place, place + 1));
    onChange(moved);
  };
  return (
    <div>
      {chosen.length > 0 && (
        <ol className="jp-Guardrails-then" aria-label={trans.__('Order of the notebooks')}>
          {chosen.map((path, place) => (
            <ThenItem
              key={path}
              path={path}
              first={place === 0}
              last={place === chosen.length - 1}
              onMove={by => move(place, by)}
              onRemove={() => onChange(chosen.filter(other => other !== path))}
            />
          ))}
        </ol>
      )}
      <Field label={trans.__('Notebooks that run after it')} problem={problem}>
        {aria => (
          <select
            className="jp-mod-styled jp-Guardrails-select"
            value=""
            disabled={left.length === 0}
            onChange={event => onChange([...chosen, event.currentTarget.value])}
            {...aria}
          >
            <option value="">
              {left.length > 0 ? trans.__('Add a notebook…') : trans.__('No other notebook in this folder')}
            </option>
            {left.map(path => (
              <option key={path} value={path}>
                {baseName(path)}
              </option>
            ))}
          </select>
        )}
      </Field>
    </div>
  );
}

interface IThenItemProps {
  path: string;
  first: boolean;
  last: boolean;
  onMove: (by: -1 | 1) => void;
  onRemove: () => void;
}

function ThenItem({ path, first, last, onMove, onRemove }: IThenItemProps): React.JSX.Element {
  const trans = useTrans();
  const name = baseName(path);
  const ways: Array<[string, string, boolean, () => void]> = [
    ['↑', trans.__('Run %1 earlier', name), first, () => onMove(-1)],
    ['↓', trans.__('Run %1 later', name), last, () => onMove(1)],
    ['×', trans.__('Leave %1 out', name), false, onRemove]
  ];
  return (
    <li>
      <span className="jp-Guardrails-thenName" title={path}>
        {name}
      </span>
      {ways.map(([sign, label, disabled, run]) => (
        <button
          key={sign}
          type="button"
          className="jp-mod-styled jp-Guardrails-small"
          aria-label={label}
          title={label}
          disabled={disabled}
          onClick={run}
        >
          {sign}
        </button>
      ))}
    </li>
  );
}
