import React from 'react';

import type { Review } from '../../api/generated/openapi';
import { Objections, ReviewWords } from '../../components/ReviewWords';
import { useTrans } from '../../components/translation';
import { Command } from '../publications/Command';
import { WhyOutside } from './WhyOutside';

const DIGITS = 12;

/** What others said of a job, whether it may be deployed, and the commands that decide about exactly these digests. */
export function Decide({ review }: { review: Review }): React.JSX.Element {
  const trans = useTrans();
  const { approvals, needed, missing, objections, decisions } = review;
  return (
    <>
      <p>{trans.__('%1 of %2 approvals', approvals, needed)}</p>
      {missing.length > 0 && <p>{trans.__('Still missing: %1', missing.join('; '))}</p>}
      {objections?.length === 0 && <p>{trans.__('It may be deployed now.')}</p>}
      <Objections objections={objections} />
      <section aria-label={trans.__('Decisions')}>
        <h3>{trans.__('Decisions')}</h3>
        {decisions.length === 0 && <p className="jp-Guardrails-muted">{trans.__('None yet.')}</p>}
        <ReviewWords words={decisions} />
      </section>
      <Commands review={review} />
    </>
  );
}

function Commands({ review }: { review: Review }): React.JSX.Element {
  const trans = useTrans();
  const { id, state, content_digest: digest, label } = review.submission;
  if (!digest || state !== 'in_review') {
    return <p className="jp-Guardrails-muted">{trans.__('There is nothing to decide: %1.', label)}</p>;
  }
  const command = (word: string): string =>
    `jupyter guardrails job ${word} ${id} --digest ${digest.slice(0, DIGITS)} --reason "…"`;
  return (
    <section aria-label={trans.__('Decide')}>
      <h3>{trans.__('Decide')}</h3>
      <WhyOutside />
      <Command label={trans.__('Approve')} text={command('approve')} />
      <Command label={trans.__('Send back')} text={command('send-back')} />
      <Command label={trans.__('Reject')} text={command('reject')} />
      <Command label={trans.__('Or in a browser, on a page of its own')} text="jupyter guardrails job page" />
    </section>
  );
}
