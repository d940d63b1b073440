import React from 'react';

import type { Dataset } from '../../api/generated/openapi';
import { useTrans } from '../../components/translation';
import { DatasetModel } from '../../state/datasetModel';
import { INotebooks } from '../../state/notebooks';
import { snippetFor } from '../../state/snippets';
import { dragAfterMove } from './dragging';
import { insertDataset, whyNoCode } from './insertion';

export interface IInsertionProps {
  dataset: Dataset;
  model: DatasetModel;
  notebooks: INotebooks;
}

/** The two ways of a dataset into a notebook, and why the latest one did not work. */
export interface IInsertion {
  problem: string;
  insert: () => void;
  /** Begins to drag; undefined where there is nothing to drag. */
  drag?: (event: React.PointerEvent) => void;
}

/** How a dataset gets into a notebook. */
export function useInsertion({ dataset: { name, status }, model, notebooks }: IInsertionProps): IInsertion {
  const trans = useTrans();
  const [problem, setProblem] = React.useState('');
  const insert = async (): Promise<void> => {
    setProblem('');
    setProblem(await insertDataset(name, model, notebooks, trans));
  };
  const codeFor = (part: Element): string | null => {
    const place = notebooks.at(part);
    const detail = model.detail(name)?.value;
    return detail && place?.writable !== false
      ? (snippetFor(detail.snippets, place?.language ?? null, model.library)?.code ?? null)
      : null;
  };
  const onCell = (part: Element): void => notebooks.selectDropped(part, codeFor(part) ?? '');
  const onRefused = (part: Element | null): void => {
    const place = part && notebooks.at(part);
    if (part && place && codeFor(part) === null) {
      const why = whyNoCode(model.detail(name)?.value ?? null, place.language, model, name, trans);
      setProblem(place.writable ? why : trans.__('This notebook is read-only.'));
    }
  };
  const drag = ({ nativeEvent: event }: React.PointerEvent): void => {
    if (event.button === 0 && event.pointerType !== 'touch') {
      setProblem('');
      void (model.detail(name) ?? model.open(name)); // here by the time of the drop
      dragAfterMove(event, { name, codeFor, onCell, onRefused });
    }
  };
  return { problem, insert: () => void insert(), drag: status === 'granted' ? drag : undefined };
}

/** Put code that opens a dataset into the notebook in front; beside it the place to take hold of it with the mouse. */
export function InsertButton({ name, use }: { name: string; use: IInsertion }): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      <div className="jp-Guardrails-row">
        <button
          type="button"
          className="jp-mod-styled"
          aria-label={trans.__('Insert code that opens %1', name)}
          onClick={use.insert}
        >
          {trans.__('Insert')}
        </button>
        <span
          className="jp-Guardrails-grip"
          aria-hidden="true"
          title={trans.__('Drag it into a cell, or between two cells')}
          onPointerDown={use.drag}
        >
          <svg viewBox="0 0 16 16" focusable="false">
            <path d="M5.500 3.500v.1M10.500 3.500v.1M5.500 8v.1M10.500 8v.1M5.500 12.500v.1M10.500 12.500v.1" />
          </svg>
        </span>
      </div>
      {use.problem && (
        <p className="jp-Guardrails-why" role="alert">
          {use.problem}
        </p>
      )}
    </>
  );
}
