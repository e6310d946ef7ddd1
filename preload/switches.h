/* The libraries' own switches, as the policy wants them. */
#ifndef GUARD_SWITCHES_H
#define GUARD_SWITCHES_H

/* Gives the environment the switches that the policy turned on, and reports those that make a library laxer. For an
 * interpreter that has not read its environment yet: when the audit hook was installed. Only in enforce mode; audit
 * changes nothing. The old array and its strings stay as they are, for whoever holds a pointer to them. */
void switches_apply(void);

#endif
