import React from 'react';

import { ApiError } from '../../api/errors';
import { Loading } from '../../components/EmptyState';
import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import type { IAboutJobProps } from './AboutJob';

export type IJobFormProps = Omit<IAboutJobProps, 'refusals' | 'openings'>;

const PLACES = /^(?:details|parameters)\b/;

/** What a submitter says about the job. Its fields are loaded when it is opened, and it opens where one of them was refused. */
export function JobForm(props: IJobFormProps): React.JSX.Element {
  const { problems } = props;
  const trans = useTrans();
  const [Fields, setFields] = React.useState<React.ComponentType<IAboutJobProps>>();
  const [error, setError] = React.useState<ApiError>();
  const [openings, setOpenings] = React.useState(0);
  const [refusals, setRefusals] = React.useState(0);
  const place = React.useRef<HTMLDetailsElement>(null);
  const first = React.useRef(problems);
  React.useEffect(() => {
    if (place.current && Object.keys(problems).some(key => PLACES.test(key))) {
      place.current.open = true;
      setRefusals(before => (problems === first.current ? 0 : before + 1)); // one of before takes no focus
    }
  }, [problems]);
  const load = async (): Promise<void> => {
    setOpenings(before => before + 1);
    setError(undefined);
    try {
      const { AboutJob } = await import(/* webpackChunkName: "job" */ './AboutJob'); // who opens none doesn't load it
      setFields(() => AboutJob);
    } catch (reason) {
      setError(ApiError.from(reason));
    }
  };
  return (
    <details ref={place} className="jp-Guardrails-job" onToggle={() => void load()}>
      <summary>{trans.__('About the job')}</summary>
      {error && (
        <ErrorNotice error={error} title={trans.__('This form could not be loaded')} onRetry={() => void load()} />
      )}
      {Fields && <Fields {...props} refusals={refusals} openings={openings} />}
      {openings > 0 && !Fields && !error && <Loading label={trans.__('Reading')} />}
    </details>
  );
}
