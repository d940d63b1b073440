import React from 'react';

import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { DatasetModel } from '../../state/datasetModel';
import { INotebooks } from '../../state/notebooks';
import { OwnPublications } from '../publications/OwnPublications';
import { ToReview } from '../publications/ToReview';
import { Jumps } from './Jumps';
import { RequestList } from './RequestList';
import { Results } from './Results';

export interface IDatasetsViewProps {
  model: DatasetModel;
  notebooks: INotebooks;
  /** Open a new notebook, for people who have none to insert into. */
  onNewNotebook: () => void;
}

/** Approved data: search, use, ask for. */
export function DatasetsView({ model, notebooks, onNewNotebook }: IDatasetsViewProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      <SearchBox model={model} />
      {model.error && (
        <ErrorNotice
          error={model.error}
          title={trans.__('The datasets could not be read')}
          onRetry={() => void model.refresh()}
        />
      )}
      <Jumps model={model} />
      <Results model={model} notebooks={notebooks} onNewNotebook={onNewNotebook} />
      <ToReview model={model} />
      <RequestList requests={model.requests} />
      {model.loaded && <OwnPublications published={model.published} />}
    </>
  );
}

function SearchBox({ model }: { model: DatasetModel }): React.JSX.Element {
  const trans = useTrans();
  // Kept here too: the model redraws later than the browser types, and a cursor must not jump.
  const [text, setText] = React.useState(model.query);
  const input = React.useRef<HTMLInputElement>(null);
  React.useEffect(() => findsBy(input.current), []);
  const type = (query: string): void => {
    setText(query);
    model.search(query);
  };
  return (
    <div className="jp-Guardrails-search" role="search">
      <input
        ref={input}
        type="search"
        className="jp-mod-styled"
        aria-label={trans.__('Search datasets')}
        placeholder={trans.__('Search name, column, owner…')}
        maxLength={200}
        value={text}
        onChange={event => type(event.currentTarget.value)}
      />
    </div>
  );
}

/** The browser finds only what is in the page, and a long list isn't: its key leads to our search. */
function findsBy(input: HTMLInputElement | null): (() => void) | undefined {
  const part = input?.closest('[role=tabpanel]');
  const onKey = (event: Event): void => {
    if (event instanceof KeyboardEvent && event.key === 'f' && (event.ctrlKey || event.metaKey) && !event.altKey) {
      event.preventDefault();
      input?.focus();
      input?.select();
    }
  };
  part?.addEventListener('keydown', onKey);
  return () => part?.removeEventListener('keydown', onKey);
}
