import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Production, Submission } from '../../api/generated/openapi';
import { Badge, known, Look } from '../../components/Badge';
import { useTrans } from '../../components/translation';
import { isChecking, isUnexplained } from '../../state/submissionModel';

interface IStateBadgeProps {
  submission: Submission;
  /** What its reviewers said; undefined before it was read. */
  production?: Production;
}

/** Who it waits for: nobody, where its author alone stands behind it. */
function inReview(
  { self_test: selfTest }: Submission,
  production: Production | undefined,
  trans: TranslationBundle
): Look {
  if (selfTest !== false) {
    return ['plain', 'passed', selfTest ? trans.__('self-test') : trans.__('packaged')]; // a server before this version says neither
  }
  const { approvals = 0, needed = 0 } = production ?? {};
  return ['ask', 'waiting', needed > 0 ? trans.__('in review: %1 of %2', approvals, needed) : trans.__('in review')];
}

/** A submission's state in one or two words; the whole sentence is its label. */
export function StateBadge({ submission, production }: IStateBadgeProps): React.JSX.Element {
  const trans = useTrans();
  const failed: Look = isUnexplained(submission)
    ? ['ask', 'warned', trans.__('needs a reason')]
    : ['bad', 'failed', trans.__('checks failed')];
  const looks: Record<Submission['state'], Look> = {
    draft: submission.sample ? ['plain', 'warned', trans.__('sample')] : ['good', 'passed', trans.__('draft checked')],
    submitted: ['plain', 'waiting', trans.__('submitted')],
    checking: ['plain', 'running', trans.__('checking')],
    checks_failed: failed,
    in_review: inReview(submission, production, trans),
    changes_requested: ['ask', 'warned', trans.__('sent back')],
    rejected: ['bad', 'failed', trans.__('rejected')],
    withdrawn: ['plain', 'not_checked', trans.__('withdrawn')],
    cancelled: ['plain', 'not_checked', trans.__('cancelled')],
    approved: ['good', 'passed', trans.__('approved')],
    deployed: ['good', 'passed', trans.__('in production')],
    superseded: ['plain', 'not_checked', trans.__('superseded')],
    retired: ['plain', 'not_checked', trans.__('retired')]
  };
  return <Badge look={known(looks, isChecking(submission) ? 'checking' : submission.state)} />;
}
