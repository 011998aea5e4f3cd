/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint and restore: refused by name. */
#include <errno.h>

#include "runtime/commands.h"

int command_checkpoint(const struct options *o, struct err *e)
{
	err_set(e, ENOTSUP, "saving containers with CRIU is not offered yet");
	return -1;
}

int command_restore(const struct options *o, struct err *e)
{
	err_set(e, ENOTSUP, "making containers of CRIU's images is not offered yet");
	return -1;
}
