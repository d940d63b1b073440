import React from 'react';

import { Loading } from '../../components/EmptyState';
import { useTrans } from '../../components/translation';
import { ReviewModel } from '../../state/reviewModel';

/** The clean run in a frame in which nothing runs: its outputs were made by the author's code. */
export function CleanRun({ model }: { model: ReviewModel }): React.JSX.Element {
  const trans = useTrans();
  const [loaded, setLoaded] = React.useState(false);
  const { submission } = model.review ?? {};
  const theme = document.body.dataset.jpThemeLight === 'false' ? 'dark' : 'light';
  if (!submission?.package) {
    return <p className="jp-Guardrails-muted">{trans.__('It has no package yet.')}</p>;
  }
  return (
    <>
      <p className="jp-Guardrails-muted">
        {trans.__('Outputs are shown as text and pictures. Nothing in them runs, and they load nothing.')}
      </p>
      {!loaded && <Loading label={trans.__('Reading the clean run')} />}
      <iframe
        className="jp-Guardrails-reviewFrame"
        title={trans.__('Clean run of %1', submission.name)}
        sandbox=""
        referrerPolicy="no-referrer"
        src={model.cleanRunUrl(submission.id, theme)}
        onLoad={() => setLoaded(true)}
      />
    </>
  );
}
