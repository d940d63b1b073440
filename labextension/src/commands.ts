/** Commands that people, shortcuts and other extensions may run; docs/scientists.md has the same table in words. */
export const CommandIDs = {
  /** Show the panel; `section`: "limits", "datasets" or "submit". */
  open: 'guardrails:open',
  /** Save the notebook in front, check it as a draft, and show that in the panel. */
  submit: 'guardrails:submit',
  /** Search the approved data; what is found is inserted into the notebook in front. */
  insertDataset: 'guardrails:insert-dataset',
  /** The idle time of the kernel in front begins again. */
  keepKernel: 'guardrails:keep-kernel',
  /** Choose the size of kernels that start from now on; `profile` without asking. */
  chooseProfile: 'guardrails:choose-profile',
  /** The form that asks for a bigger limit for a while. */
  askForMore: 'guardrails:ask-for-more',
  /** Read limits, datasets and submissions again. */
  refresh: 'guardrails:refresh',
  /** Show what waits for one's review; `item`: `job ID`, `data NAME` or `request ID`. */
  openReview: 'guardrails:open-review',
  /** Use by person, the policy and what the host enforces; for people who are no admin their own. */
  openAdmin: 'guardrails:open-admin'
} as const;
