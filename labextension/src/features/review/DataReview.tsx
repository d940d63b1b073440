import React from 'react';

import type { Publication } from '../../api/generated/openapi';
import { Said } from '../../components/text';
import { useTrans } from '../../components/translation';
import { DatasetModel } from '../../state/datasetModel';
import { DataCommands } from '../publications/Command';
import { Evidence } from '../publications/Evidence';
import { FirstRows } from '../publications/ToReview';
import { WhyOutside } from './WhyOutside';

export interface IDataReviewProps {
  publication: Publication;
  datasets: DatasetModel;
}

/** Data that somebody proposes to a group: what it is, its first rows, and the commands that decide. */
export function DataReview({ publication, datasets }: IDataReviewProps): React.JSX.Element {
  const trans = useTrans();
  const { name, version, author, group, description } = publication;
  React.useEffect(() => void datasets.open(name), [datasets, name]);
  return (
    <>
      <header className="jp-Guardrails-reviewHead">
        <h2>
          <Said text={name} />
        </h2>
        <p className="jp-Guardrails-muted">{trans.__('%1 proposes version %2 to %3', author, version, group)}</p>
      </header>
      <p>
        <Said text={description} />
      </p>
      <Evidence publication={publication} />
      <FirstRows name={name} model={datasets} />
      <section aria-label={trans.__('Decide')}>
        <h3>{trans.__('Decide')}</h3>
        <WhyOutside />
        <DataCommands publication={publication} />
      </section>
    </>
  );
}
