# sh enter.sh ROOT USER COMMAND PATH...: run a command as a user in another root, with its own
# processes; each PATH of this machine can be read there.  Run by `unshare --mount --pid --fork`.
set -eu
root=$1 user=$2 command=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
for path; do
    if [ -d "$path" ]; then mkdir -p "$root$path"; else
        mkdir -p "$root$(dirname "$path")" && touch "$root$path"
    fi
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
done
cd "$root"
mkdir -p mnt/old
pivot_root . mnt/old # and not chroot, in which no user namespace can be made
umount -l /mnt/old
cd /srv/duet
exec setpriv --reuid="$user" --regid="$user" --clear-groups \
    env -i HOME=/home/user USER=user LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin sh -c "$command"
