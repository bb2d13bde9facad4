# SPDX-License-Identifier: GPL-2.0-only
#
# bash completion for xenconsoled(8).

_xenconsoled() {
	local cur prev words cword split
	_init_completion -s || return

	case $prev in
	--log | --timestamp | -t)
		mapfile -t COMPREPLY < <(compgen -W 'none guest hv all' -- "$cur")
		return
		;;
	--overflow-data | -o)
		mapfile -t COMPREPLY < <(compgen -W 'discard keep' -- "$cur")
		return
		;;
	--vuart)
		mapfile -t COMPREPLY < <(compgen -W 'auto yes no' -- "$cur")
		return
		;;
	--log-dir | --run-dir)
		_filedir -d
		return
		;;
	--pid-file)
		_filedir
		return
		;;
	--buffer-limit)
		mapfile -t COMPREPLY < <(compgen -W '64K 256K 1M' -- "$cur")
		return
		;;
	--cpu-share)
		mapfile -t COMPREPLY < <(compgen -W '25 50 100' -- "$cur")
		return
		;;
	esac
	"$split" && return

	mapfile -t COMPREPLY < <(compgen -W '--help --version --verbose --interactive --log=
		--log-dir= --run-dir= --pid-file= --timestamp= --overflow-data= --replace-escape
		--buffer-limit= --cpu-share= --vuart= --disconnect --reconnect' -- "$cur")
	[[ ${COMPREPLY-} != *= ]] || compopt -o nospace
}

complete -F _xenconsoled xenconsoled
