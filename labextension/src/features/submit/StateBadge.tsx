import React from 'react';

import type { Submission } from '../../api/generated/openapi';
import { Badge, Tone } from '../../components/Badge';
import { IconKind } from '../../components/StatusIcon';
import { useTrans } from '../../components/translation';
import { isChecking, isUnexplained } from '../../state/submissionModel';

/** A submission's state in one or two words; the whole sentence is its label. */
export function StateBadge({ submission }: { submission: Submission }): React.JSX.Element {
  const trans = useTrans();
  const failed: [Tone, IconKind, string] = isUnexplained(submission)
    ? ['ask', 'warned', trans.__('needs a reason')]
    : ['bad', 'failed', trans.__('checks failed')];
  const looks: Record<Submission['state'], [Tone, IconKind, string]> = {
    draft: ['good', 'passed', trans.__('draft checked')],
    submitted: ['plain', 'waiting', trans.__('submitted')],
    checking: ['plain', 'running', trans.__('checking')],
    checks_failed: failed,
    in_review: ['good', 'passed', trans.__('packaged')],
    changes_requested: ['ask', 'warned', trans.__('sent back')],
    rejected: ['bad', 'failed', trans.__('rejected')],
    withdrawn: ['plain', 'not_checked', trans.__('withdrawn')],
    cancelled: ['plain', 'not_checked', trans.__('cancelled')],
    approved: ['good', 'passed', trans.__('approved')],
    deployed: ['good', 'passed', trans.__('in production')],
    superseded: ['plain', 'not_checked', trans.__('superseded')],
    retired: ['plain', 'not_checked', trans.__('retired')]
  };
  const [tone, icon, word] = looks[isChecking(submission) ? 'checking' : submission.state];
  return (
    <Badge tone={tone} icon={icon}>
      {word}
    </Badge>
  );
}
